"""What a running recorder does for whoever comes to its door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xtrader.ops.door import Caller, Command, JsonText

if TYPE_CHECKING:
    from xtrader.app.recorder import Recorder


def commands(recorder: Recorder) -> dict[str, Command]:
    """By the name of each command."""

    async def facts(caller: Caller, said: Mapping[str, Any]) -> JsonText:
        """{} -> Facts, at most a second old."""
        return JsonText(recorder.gatherer.json())

    return {"facts": facts}
