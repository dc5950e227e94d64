"""`xtrader venues`: what each exchange says of itself."""

from __future__ import annotations

import json

from click.testing import CliRunner

from xtrader.cli.main import cli
from xtrader.cli.venues import CHAINS, TRADES
from xtrader.venues import exchanges, market, streams


def said(*flags: str) -> str:
    result = CliRunner().invoke(cli, ["venues", *flags])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_exchange_is_there_with_its_streams_rule_limits_and_proof() -> None:
    rows = {row["exchange"]: row for row in json.loads(said("--json"))}
    assert rows.keys() == set(exchanges())
    for exchange, row in rows.items():
        assert row["streams"] == list(streams(exchange))
        assert row["rest_weight"] == market(exchange, {}).limits.rest_weight
        assert row["books"] in CHAINS
        assert row["trades"] in TRADES
        assert row["proven_on"]


def test_the_table_explains_the_words_that_it_uses() -> None:
    text = said()
    for row in json.loads(said("--json")):
        assert row["exchange"] in text
        assert CHAINS[row["books"]] in text
