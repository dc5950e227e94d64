"""What a rendering gives: the files, by their path below the output directory, and what the user must do before they work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xtrader.deploy.instance import Instance
from xtrader.deploy.workload import Image


@dataclass(slots=True)
class Rendered:
    """`files`: path -> text. `todo`: sentences and commands, in their order. A renderer adds to both."""

    files: dict[str, str] = field(default_factory=dict)
    todo: list[str] = field(default_factory=list)


Target = Callable[[Sequence[Instance], Image], Rendered]
