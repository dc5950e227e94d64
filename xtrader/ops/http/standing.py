"""What is answered about a recorder: whether it is alive, and whether it is ready.

The rule: each answer says why not; a recorder of which nothing is known is neither.
"""

from __future__ import annotations

from typing import Any, Final

from xtrader.ops.facts import Facts
from xtrader.ops.health import SECOND, Trouble, is_alive, troubles
from xtrader.ops.http.latest import Latest

DEADLY: Final = ("hung", "stalled", "gone")
"""Kinds of troubles because of which a recorder is not alive, where they are its own or its workers'."""


def health(latest: Latest, now: int) -> tuple[bool, dict[str, Any]]:
    """Whether it is alive at wall time `now` (int ns), and the body that says so."""
    facts = latest.facts
    if facts is None:
        return False, {"status": "not alive", "ts": now, "reasons": [latest.error]}
    if latest.stopping:
        return True, {"status": "stopping", "ts": now, "reasons": [latest.stopping]}
    alive = is_alive(facts, now)
    reasons = [f"{one.subject}: {one.words}" for one in troubles(facts, now) if one.kind in DEADLY and not _is_sink(one)]
    if not alive and latest.error:
        reasons.append(latest.error)
    return alive, {
        "status": "alive" if alive else "not alive",
        "ts": now,
        "facts_age_seconds": round((now - facts.ts) / SECOND, 3),
        "started": facts.started,
        "subscriptions": {"live": facts.live, "wanted": facts.wanted},
        "reasons": [] if alive else reasons,
    }


class Readiness:
    """Whether a recorder is ready, and since when: told whenever there are new facts."""

    def __init__(self) -> None:
        self.since: int | None = None
        """Since when it is ready, int ns; None while it is not."""
        self._was_looked = False

    def look(self, latest: Latest, now: int) -> list[Trouble]:
        """What is wrong at wall time `now`."""
        found = wrong(latest, now)
        if any(one.blocks for one in found) or latest.facts is None:
            self.since = None
        elif self.since is None:
            # What this process did not see begin is as old as the youngest of what is well.
            self.since = now if self._was_looked else _youngest(latest.facts)
        self._was_looked = True
        return found

    def answer(self, latest: Latest, now: int, grace: float) -> tuple[bool, dict[str, Any]]:
        """Whether it has been ready for `grace` seconds, and the body that says so."""
        found = self.look(latest, now)
        facts, since = latest.facts, self.since
        seconds = 0.0 if since is None else max(now - since, 0) / SECOND
        ready = since is not None and seconds >= grace
        status = "ready" if ready else "not ready" if since is None else "ready for too short a time"
        return ready, {
            "status": status,
            "ts": now,
            "since": since,
            "seconds": round(seconds, 3),
            "grace": grace,
            "subscriptions": {"live": facts.live, "wanted": facts.wanted} if facts else None,
            "wrong": [_shown(one) for one in found if one.blocks],
            "noted": [_shown(one) for one in found if not one.blocks],
        }


def wrong(latest: Latest, now: int) -> list[Trouble]:
    """All troubles at wall time `now`, also where there are no facts."""
    facts = latest.facts
    if facts is None:
        return [Trouble("recorder", "unknown", latest.began, latest.error)]
    found = [] if latest.stopping else troubles(facts, now)
    if latest.stopping:
        found.insert(0, Trouble("recorder", "stopping", 0, latest.stopping))
    return found


def _shown(one: Trouble) -> dict[str, Any]:
    return {"subject": one.subject, "kind": one.kind, "since": one.since, "words": one.words}


def _is_sink(one: Trouble) -> bool:
    return one.subject.startswith("sink ")


def _youngest(facts: Facts) -> int:
    return max([facts.started, *(one.since for one in facts.subscriptions), *(one.since for one in facts.sinks)])
