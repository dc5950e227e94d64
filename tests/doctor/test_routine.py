"""`xtrader check` answers its questions from what was recorded: well, ill, and kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tests.cli.process import xtrader
from tests.ops.made import facts, subscription
from tests.running import in_sync, recorder, stop
from tests.waiting import until
from xtrader.doctor import kept_answers, routine
from xtrader.doctor.routine import PERIODS, Asked
from xtrader.emulator.faults import parse
from xtrader.emulator.server import Emulator
from xtrader.ops.ask import Asking
from xtrader.ops.facts import ConnectionFacts, Facts, RestFacts
from xtrader.settings.load import settings_of, sources_of

LIST = "L2:OKX_SWAP@BTCUSDT,TRADES:OKX_SWAP@BTCUSDT"


def check(directory: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return xtrader(directory, "check", *arguments, environ={"XTRADER_MIN_FREE_BYTES": "1MiB", **(variables or {})}, timeout=120)


def answers(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    assert "Traceback" not in done.stderr, done.stderr
    return {one["about"]: (one["level"], one["words"]) for one in map(json.loads, done.stdout.splitlines())}


def test_a_recorder_is_asked_and_its_recording_judged(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def main() -> None:
        async with Emulator(["OKX_SWAP"], instruments=2, rate=50) as emulator:
            variables = {**emulator.variables, "XTRADER_ROTATE_SECONDS": "10s"}
            async with recorder(tmp_path, LIST, variables) as process:
                await in_sync(tmp_path)
                with Asking(data / ".journal") as asking:
                    await until(lambda: asking.facts().live == 2)
                    for kind in PERIODS:
                        done = await asyncio.to_thread(check, tmp_path, kind, "data")
                        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
                        assert "2 of 2 subscriptions are live" in done.stdout
                        assert "2 of 2 subscriptions were live for 99%" in done.stdout
                    emulator.add(parse("lost:L2:OKX_SWAP@BTC-USDT-SWAP"))
                    await until(lambda: any(one.gaps for one in asking.facts().subscriptions))
                    await until(lambda: asking.facts().live == 2)
                    found = answers(await asyncio.to_thread(check, tmp_path, "hourly", "data", "--json"))
                    (name,) = [about for about in found if about.startswith("coverage L2:")]
                    assert "gaps: 1 venue_gap" in found[name][1]
                assert await stop(process) == 0
        done = check(tmp_path, "hourly", "data", "--json")
        assert done.returncode == 1
        assert answers(done)["recorder"] == ("wrong", "none runs here")
        found = answers(check(tmp_path, "weekly", "data", "--json"))
        level, words = found["hourly checks"]
        assert (level, words.startswith("1 of 3 found something wrong: recorder (1)")) == ("warning", True), words
        kept = check(tmp_path, "hourly", "data", "--kept")
        assert kept.returncode == 1
        assert [line.split()[3] for line in kept.stdout.splitlines()][::2] == ["ok", "wrong"]
        assert not list(data.glob("check-*"))

    asyncio.run(main())


def test_where_nothing_was_recorded_the_answers_are_wrong_and_cannot_be_kept(tmp_path: Path) -> None:
    done = check(tmp_path, "daily", "--json")
    found = answers(done)
    assert done.returncode == 1
    assert found["coverage"][0] == found["recorder"][0] == "wrong"
    assert "not kept" in done.stderr
    assert list(tmp_path.rglob("check-*")) == []
    assert check(tmp_path, "daily", "--kept").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "words"), [(["yearly"], "hourly"), (["daily", "nowhere"], "there is no directory 'nowhere'"), ([], "hourly")]
)
def test_input_that_cannot_be_used_is_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = check(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_answers_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_answers, "LINES", 5)
    monkeypatch.setattr(kept_answers, "ANSWERS", 2)
    found = [
        kept_answers.Diagnosis("ok", "a", "b"),
        kept_answers.Diagnosis("ok", "c", "d"),
        kept_answers.Diagnosis("wrong", "e", "f", "g"),
    ]
    for number in range(12):
        kept_answers.keep_answers(tmp_path, "daily", found, "1", number)
    with kept_answers.answers_file(tmp_path, "daily").open("ab") as file:
        file.write(b"torn")
    kept = list(kept_answers.read_answers(tmp_path, "daily"))
    assert [one.ts for one in kept] == [7, 8, 9, 10, 11]
    assert [(one.level, one.count, [answer.about for answer in one.answers]) for one in kept[:1]] == [("wrong", 3, ["e", "a"])]
    kept_answers.keep_answers(tmp_path, "daily", found, "1", 12)
    assert [one.ts for one in kept_answers.read_answers(tmp_path, "daily")][-1] == 12


def asked(known: Facts, tmp_path: Path) -> Asked:
    sources = sources_of({}, {}, None)
    return Asked(settings_of(sources), sources, "1", tmp_path, tmp_path, known, (), known.ts, known.ts - 10**9, "")


REST = RestFacts("host", ("X",), 60.0, 1000, 10, 990, 0, 0.0, 1000, 0)
LINK = ConnectionFacts("X/0", "X", "host", "open", 1, 1, 1000, 2, 0, {}, 0, "", 0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("rest", "link", "levels"),
    [
        ({}, {}, ["ok", "ok"]),
        ({"failures": 11}, {}, ["wrong", "ok"]),
        ({"blocked": 30.0}, {}, ["wrong", "ok"]),
        ({}, {"counts": {"malformed": 6, "unknown": 5}}, ["ok", "wrong"]),
        ({}, {"counts": {"malformed": 10}}, ["ok", "ok"]),
    ],
)
def test_errors_beyond_one_in_a_hundred_and_a_venue_that_sends_us_away_are_wrong(
    tmp_path: Path, rest: dict[str, object], link: dict[str, object], levels: list[str]
) -> None:
    known = facts(
        subscription(), rest=(msgspec.structs.replace(REST, **rest),), connections=(msgspec.structs.replace(LINK, **link),)
    )
    assert [one.level for one in routine.errors(asked(known, tmp_path))] == levels


@pytest.mark.parametrize(("reconnects", "level"), [(0, "ok"), (50, "warning")])
def test_connections_that_are_lost_often_are_worth_a_word(tmp_path: Path, reconnects: int, level: str) -> None:
    known = facts(connections=(msgspec.structs.replace(LINK, reconnects=reconnects, losses={"disconnect": reconnects}),))
    assert [one.level for one in routine.connections(asked(known, tmp_path))] == [level]
