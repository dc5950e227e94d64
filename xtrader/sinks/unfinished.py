"""Where a part is written until it is whole: on the file system of the recording, but where no reader looks for parts.

The rule: each writer has a directory of its own there, and removes what an earlier run of it left.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from xtrader.durable import open_new, refuse_links

DIRECTORY: Final = "_unfinished"
SUFFIX: Final = ".tmp"
HIDDEN: Final = re.compile(r"\.part-(?P<collector>[a-z0-9-]+)-\d{20}(\.compact|\.repair)?\.tmp")
"""The name of an unfinished part as it was until such parts got a place of their own: hidden, beside the finished ones."""


class Unfinished:
    """The unfinished files of one writer below `root`; `writer` is a collector, or a name that no collector can have."""

    def __init__(self, root: Path, writer: str) -> None:
        self._root = root
        self.directory = root / DIRECTORY / writer
        self._made = 0

    def new(self) -> Path:
        """The path of a file that is made now, empty. Raises OSError, for a symbolic link in the way too."""
        refuse_links(self._root, Path(DIRECTORY, self.directory.name))
        while not self.directory.is_dir():
            # Another writer that is done may remove the directory of all between two steps of this.
            with contextlib.suppress(FileNotFoundError):
                self.directory.mkdir(parents=True, exist_ok=True)
        self._made += 1
        path = self.directory / f"{self._made:06d}{SUFFIX}"
        os.close(open_new(path))
        return path

    def clear(self) -> int:
        """Remove all that is there and the directory, and say how many files it were. To be called by who holds the writer's lock,
        and writes nothing now. Raises OSError."""
        count = 0
        with contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(self.directory)):
                if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
                    count += 1
        with contextlib.suppress(OSError):
            self.directory.rmdir()
            self.directory.parent.rmdir()
        return count
