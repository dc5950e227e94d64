"""The routine of running a recorder: what is to be asked of it every hour, every day, every week, every month.

The rule: answers come from what was recorded and from the recorder's own facts, never from a wish; what cannot be asked is said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from xtrader.clock import DAY, SECOND
from xtrader.diagnosis import Diagnosis, ok, warning, wrong
from xtrader.doctor import recorded_time
from xtrader.doctor.disk import existing
from xtrader.doctor.door_check import ask_door, judge_recorder
from xtrader.doctor.firing_alerts import firing
from xtrader.doctor.journal_check import examine_journal
from xtrader.doctor.kept_answers import read_answers
from xtrader.doctor.settings_check import examine_settings
from xtrader.errors import XTraderError
from xtrader.ops.facts import Facts
from xtrader.ops.health import SINK_LAG
from xtrader.settings.load import Settings, Sources
from xtrader.store.prove.verify import verify
from xtrader.store.report.day_report import report_day
from xtrader.venues import rules

PERIODS: Final = {"hourly": 3600, "4h": 4 * 3600, "daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}
"""What can be asked for -> the seconds that it looks back on."""
ERRORS: Final = 0.01
"""Share of messages, or of REST calls, that may go wrong."""
FULL_SOON: Final = 2 * 86_400
"""Seconds until a disk is full that are wrong."""
FULL_LATER: Final = 14 * 86_400
"""Those that are worth a word."""
LATE: Final = 5.0
"""Seconds of receive lag, p99, that are worth a word: our clock's error, and the venue's, are in it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the questions are about: the recording in `root` and its journal, the `facts` of the recorder (None: none runs), the
    wall time `now`, the beginning `start` of what is looked back on (int ns), and the URL of a Prometheus for `alerts` or ""."""

    settings: Settings
    sources: Sources
    version: str
    root: Path
    journal: Path
    facts: Facts | None
    found: tuple[Diagnosis, ...]
    now: int
    start: int
    alerts: str


def ask(kind: str, settings: Settings, sources: Sources, version: str, alerts: str = "") -> list[Diagnosis]:
    """The answers to the questions of a kind, one of PERIODS."""
    now = time.time_ns()
    facts, found = ask_door(settings.journal_directory)
    root = settings.output_directory
    start = now - PERIODS[kind] * SECOND
    asked = Asked(settings, sources, version, root, settings.journal_directory, facts, tuple(found), now, start, alerts)
    return [answer for question in QUESTIONS[kind] for answer in _answered(question, asked)]


def _answered(question: Callable[[Asked], Iterator[Diagnosis]], asked: Asked) -> list[Diagnosis]:
    try:
        return list(question(asked))
    except (XTraderError, OSError) as error:
        about = (question.__doc__ or "").partition(".")[0].rstrip("?")
        return [wrong(about, f"cannot be answered: {error}", "`xtrader verify` says what is wrong with the recording")]


def recorder(asked: Asked) -> Iterator[Diagnosis]:
    """Does a recorder run, and is it ready?"""
    if asked.facts is None:
        hung = [one for one in asked.found if one.level == "wrong"]
        yield from hung or [wrong("recorder", "none runs here", "start it; `xtrader doctor` says what may keep it from starting")]
    else:
        yield from judge_recorder(asked.facts, asked.version, asked.now)


def alerts(asked: Asked) -> Iterator[Diagnosis]:
    """Does an alert fire?"""
    if asked.alerts:
        yield from firing(asked.alerts)


def coverage(asked: Asked) -> Iterator[Diagnosis]:
    """Was everything recorded?"""
    yield from recorded_time.judge(asked.root, asked.journal, asked.start, asked.now, is_running=asked.facts is not None)


def sinks(asked: Asked) -> Iterator[Diagnosis]:
    """Do the sinks keep up?"""
    for one in asked.facts.sinks if asked.facts is not None else ():
        about = f"sink {one.name}" + ("" if one.worker is None else f" of worker {one.worker}")
        words = f"is {one.behind_seconds:.1f} s behind; {one.restarts} restarts, {one.retries} retries, {one.set_aside} set aside"
        if not one.alive or one.error or one.behind_seconds > SINK_LAG:
            yield wrong(
                about,
                f"{words}{'; ' + one.error if one.error else ''}",
                "docs/operations.md says what to do for a sink that is behind",
            )
        elif one.set_aside or one.restarts:
            yield warning(about, words, "look at its lines in the log, and at the file of what was set aside")
        else:
            yield ok(about, words)


def room(asked: Asked) -> Iterator[Diagnosis]:
    """Is there room, and for how long?"""
    yield from recorded_time.growth(asked.root, existing(asked.root), asked.now, FULL_SOON, FULL_LATER)
    yield from examine_journal(asked.settings, asked.facts is not None)


def errors(asked: Asked) -> Iterator[Diagnosis]:
    """Does less than one in a hundred go wrong, and does no venue send us away?"""
    facts = asked.facts
    if facts is None:
        return
    for rest in facts.rest:
        words = (
            f"{rest.failures} of {rest.calls} calls failed since {_moment(facts.started)}, {rest.used} of {rest.limit} weight used"
        )
        remedy = "look for rest_failed in the log; several recorders behind one address share the venue's limit"
        if rest.blocked:
            yield wrong(f"REST {rest.host}", f"we are told to stay away for {rest.blocked:.0f} s; {words}", remedy)
        elif rest.failures > max(ERRORS * rest.calls, 1):
            yield wrong(f"REST {rest.host}", words, remedy)
        else:
            yield ok(f"REST {rest.host}", words)
    frames = sum(one.frames for one in facts.connections)
    odd = sum(one.counts.get(name, 0) for one in facts.connections for name in ("malformed", "unknown"))
    words = f"{odd} of {frames:,} messages were of no kind that is known, or could not be read"
    yield (
        wrong("messages", words, "`xtrader doctor --live` names what changed at the venue")
        if odd > ERRORS * frames
        else ok("messages", words)
    )


def connections(asked: Asked) -> Iterator[Diagnosis]:
    """How often were connections lost?"""
    for one in asked.facts.connections if asked.facts is not None else ():
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(one.losses.items())) or "never"
        hours = max((asked.now - (asked.facts.started if asked.facts is not None else asked.now)) / SECOND / 3600, 1.0)
        words = f"was lost {one.reconnects} times in {hours:.0f} h ({causes}), {one.replaced} replaced in time"
        if one.reconnects > hours:
            yield warning(
                f"connection {one.name}",
                words,
                "look for link_lost in the log: the network, the venue, or a machine that is too slow",
            )
        else:
            yield ok(f"connection {one.name}", words)


def lag(asked: Asked) -> Iterator[Diagnosis]:
    """How late do messages come?"""
    for one in asked.facts.exchanges if asked.facts is not None else ():
        p99 = one.lag.quantile(0.99)
        if p99 is None:
            continue
        words = f"99 % of its messages come within {p99 * 1000:.0f} ms of the venue's time"
        if p99 > LATE:
            yield warning(
                f"lag {one.exchange}", words, "is the clock right (`xtrader doctor`), the machine too busy, or the venue far away?"
            )
        else:
            yield ok(f"lag {one.exchange}", words)


def files(asked: Asked) -> Iterator[Diagnosis]:
    """Are the files of the days that ended whole?"""
    days = max(round((asked.now - asked.start) / DAY), 1)
    today = datetime.fromtimestamp(asked.now // SECOND, UTC).date()
    if not recorded_time.has_files(asked.root):
        yield ok("files", f"there is no recording in '{asked.root}'")
        return
    known = recorded_time.dates(asked.root)
    for date in (str(today - timedelta(days=number)) for number in range(days, 0, -1)):
        if date not in known:
            continue
        report, _ = report_day(asked.root, date)
        damaged = [one.subscription for one in report.subscriptions if one.damaged]
        rows, size = sum(one.rows for one in report.subscriptions), sum(one.bytes for one in report.subscriptions)
        words = f"{rows:,} rows in {size >> 20} MiB"
        if damaged:
            yield wrong(
                f"files of {date}",
                f"{words}; damaged: {', '.join(damaged[:10])}",
                f"xtrader verify '{asked.root}', then xtrader repair",
            )
        else:
            yield ok(f"files of {date}", f"{words}, none damaged")


def proof(asked: Asked) -> Iterator[Diagnosis]:
    """Is the recording proven, all of it?"""
    if not recorded_time.has_files(asked.root):
        return
    report = verify(asked.root, rules, os.cpu_count() or 1)
    holes = sum(one.level == "hole" for one in report.findings)
    damage = [one for one in report.findings if one.level == "damage"]
    if damage:
        yield wrong(
            "proof",
            f"{len(damage)} findings of damage, such as {damage[0].file}: {damage[0].what}",
            "xtrader verify, then xtrader repair",
        )
    else:
        yield ok("proof", f"no damage, {holes} declared holes in {len(report.days)} days of subscriptions")


def secrets(asked: Asked) -> Iterator[Diagnosis]:
    """Who else can read the secrets and write to the recording?"""
    yield from examine_settings(asked.settings, asked.sources)
    for what, path in (("output directory", asked.root), ("journal directory", asked.journal)):
        if path.is_dir() and path.stat().st_mode & 0o002:
            yield warning(f"{what} '{path}'", "everybody can write to it", f"chmod o-w '{path}'")


def earlier(asked: Asked) -> Iterator[Diagnosis]:
    """What did the checks since then say?"""
    for kind in PERIODS:
        kept = [one for one in read_answers(asked.journal, kind) if one.ts >= asked.start]
        if not kept:
            continue
        ill = [one for one in kept if one.level == "wrong"]
        about: dict[str, int] = {}
        for one in ill:
            for answer in one.answers:
                if answer.level == "wrong":
                    about[answer.about] = about.get(answer.about, 0) + 1
        words = f"{len(ill)} of {len(kept)} found something wrong"
        most = ", ".join(f"{name} ({count})" for name, count in sorted(about.items(), key=lambda one: -one[1])[:5])
        if ill:
            yield warning(f"{kind} checks", f"{words}: {most}", f"xtrader check {kind} --kept")
        else:
            yield ok(f"{kind} checks", words)


def _moment(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%Y-%m-%d %H:%M UTC")


QUESTIONS: Final[Mapping[str, tuple[Callable[[Asked], Iterator[Diagnosis]], ...]]] = {
    "hourly": (recorder, alerts, coverage, sinks, room),
    "4h": (recorder, alerts, coverage, lag, errors),
    "daily": (recorder, alerts, coverage, files, errors, connections, lag, sinks, room),
    "weekly": (recorder, coverage, files, errors, connections, room, earlier),
    "monthly": (recorder, coverage, proof, connections, room, secrets, earlier),
}
