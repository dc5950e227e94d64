"""A nasty network between the sink and a real server: every row is there once, and something really was sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.numbered import DAY_START, KEYS
from tests.sinks.questdb.proxy import Proxy
from tests.sinks.questdb.rig import Rig
from tests.sinks.questdb.server import Server
from xtrader.model.market import Trade


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery tries again twice a second, not twice a minute."""
    monkeypatch.setattr("xtrader.pipeline.delivery.LONGEST_PAUSE", 0.5)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    made = Proxy(server)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["lost", "half", "hang", "refused"])
def test_a_request_that_was_answered_badly_is_sent_again_as_it_was(
    tmp_path: Path, server: Server, prefix: str, proxy: Proxy, fault: str
) -> None:
    conf = f"http::addr=127.0.0.1:{proxy.port};request_timeout=500;"
    with Rig(tmp_path, server, prefix, {"QUESTDB_CONF": conf}) as rig:
        rig.load(0.5)
        rig.until_shown()
        # What is tried again on a slow machine may be cut anew with later rows: it goes on until three came as they were.
        proxy.plan = itertools.cycle([fault, "", "", fault, fault, ""])
        rig.until(lambda: proxy.spoilt[fault] >= 3 and proxy.again >= 3)
        proxy.plan = iter(())
        rig.finish()
        rig.check()


def test_a_slow_answer_is_waited_for(tmp_path: Path, server: Server, prefix: str, proxy: Proxy) -> None:
    with Rig(tmp_path, server, prefix, {"QUESTDB_HTTP_PORT": str(proxy.port)}) as rig:
        proxy.plan = itertools.repeat("slow", 3)
        rig.load(1.0)
        rig.until(lambda: proxy.spoilt["slow"] == 3)
        rig.finish()
        rig.check()
        assert rig.errors == []


@pytest.mark.parametrize("words", [b"", b"<h1>413 Request Entity Too Large</h1>"])
def test_requests_that_are_too_large_for_what_is_between_are_halved(
    tmp_path: Path, server: Server, prefix: str, proxy: Proxy, words: bytes
) -> None:
    proxy.small, proxy.words = True, words
    with Rig(tmp_path, server, prefix, {"QUESTDB_HTTP_PORT": str(proxy.port)}) as rig:
        rig.put(200)
        rig.until_shown()
        rig.finish()
        rig.check()
    assert proxy.spoilt["413"] > 0


def test_lost_answers_and_refused_rows_together_cost_only_the_refused_rows(
    tmp_path: Path, server: Server, prefix: str, proxy: Proxy
) -> None:
    with Rig(tmp_path, server, prefix, {"QUESTDB_HTTP_PORT": str(proxy.port)}) as rig:
        rig.put(300)
        proxy.plan = itertools.cycle(["", "", "lost"])
        for number in range(3):
            bad = Trade(KEYS[0], f"impossible-{number}", "buy", 1.0, 1.0, 2**63 - 1 - number, DAY_START)
            rig.give([bad])
            rig.truth.remove(bad)
            rig.put(100)
        rig.until(lambda: proxy.spoilt["lost"] >= 3)
        proxy.plan = iter(())
        rig.finish()
        rig.check()
        assert rig.status.refused == 3
    assert len(rig.refused.read_text().splitlines()) == 3
    assert proxy.again > 0


def test_over_tcp_what_a_killed_server_may_not_have_is_sent_again(tmp_path: Path, server: Server, prefix: str) -> None:
    variables = {"QUESTDB_TRANSPORT": "tcp", "QUESTDB_TABLES_EXIST": "true", "QUESTDB_REPLAY_WINDOW": "60s"}
    with Rig(tmp_path, server, prefix, variables) as rig:
        rig.load(0.5)
        rig.until_shown()
        server.kill()
        rig.load(0.5)
        server.start()
        rig.until(lambda: not rig.status.error)
        rig.finish()
        rig.check_rows()
        assert rig.status.cursor < rig.journal.end
