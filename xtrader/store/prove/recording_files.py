"""The files of a recording for whoever proves or mends it: those of a directory, or of an object store, read as if they lay here.

The rule: of an object store the lists are here at once, and a part for as long as somebody works on it. Nothing is changed there
but by `Bucket`, which overwrites nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xtrader.errors import ConfigError
from xtrader.sinks.bounds import Bounds, bounds_below, bounds_of, names_of
from xtrader.sinks.manifest import DIRECTORY
from xtrader.store.prove.lock import alone, shared
from xtrader.store.prove.verify_lists import Lists, files_below, is_running, read_lists
from xtrader.store.read.part_list import PartList

if TYPE_CHECKING:
    from xtrader.sinks.bucket import Bucket

SCHEMES: Final = ("s3", "gs", "az")
AT_ONCE: Final = 8
UPLOAD_SECONDS: Final = 900.0
"""So long after a part was put it may still be on no list: its upload goes on."""


class RecordingFiles:
    """Those of a directory. `root` is where they lie; paths are relative to it. `journal` is where the live end lies."""

    def __init__(self, root: Path, journal: Path | None = None) -> None:
        self.name = str(root)
        self.journal = journal
        self.bounds = Bounds()
        """Which times are here, as it was when the lists were read last."""
        self._root = root

    @property
    def root(self) -> Path:
        return self._root

    @property
    def title(self) -> str:
        """What pictures and reports call the recording."""
        return self._root.resolve().name

    def part_list(self) -> PartList:
        """The same recording for whoever asks it questions."""
        return PartList(self._root, journal=self.journal)

    def exists(self) -> bool:
        """Whether there is anything of a recording."""
        is_listed = (self._root / DIRECTORY).is_dir() or any(self._root.glob("stream=*"))
        return is_listed or any(journal.is_dir() for journal in self.part_list().journals())

    def names(self) -> list[str]:
        """Every file in the directories of the streams. Raises OSError."""
        return list(files_below(self._root))

    def read_lists(self) -> Lists:
        """The lists as they are now. Raises OSError."""
        self.bounds = bounds_below(self._root)
        return read_lists(self._root)

    def settled(self, names: Sequence[str], lists: Lists) -> list[str]:
        """Of `names` those that must be on a list by now, if they are parts."""
        return list(names)

    def is_running(self, collector: str) -> bool:
        """Whether a process writes parts of this collector here."""
        return is_running(self._root, collector)

    def shared(self) -> AbstractContextManager[None]:
        """Keep parts from being taken out meanwhile."""
        return shared(self._root)

    def alone(self) -> AbstractContextManager[None]:
        """Be the only one who takes parts out. Raises OSError."""
        return alone(self._root)

    def here(self, *paths: str) -> AbstractContextManager[None]:
        """See that those of `paths` which exist lie below `root` meanwhile. Raises SinkRetry if their store does not answer."""
        return nullcontext()


class BucketFiles(RecordingFiles):
    """Those of an object store. `root` is a directory for what was fetched, `base` where such directories are made. Another process
    that gets this object has a `root` of its own, and no lists."""

    def __init__(self, url: str, base: Path, journal: Path | None = None) -> None:
        super().__init__(base, journal)
        self.name = url
        self._base = base
        self._own: Path | None = None
        self._bucket: Bucket | None = None
        self._ages: dict[str, float] = {}
        self._begins: dict[str, Collection[int]] = {}

    def __getstate__(self) -> Mapping[str, object]:
        return {**self.__dict__, "_own": None, "_bucket": None, "_ages": {}, "_begins": {}}

    @property
    def root(self) -> Path:
        if self._own is None:
            self._own = Path(tempfile.mkdtemp(dir=self._base))
        return self._own

    @property
    def bucket(self) -> Bucket:
        if self._bucket is None:
            from xtrader.sinks.bucket import Bucket

            self._bucket = Bucket(self.name)
        return self._bucket

    @property
    def title(self) -> str:
        return self.name.rpartition("/")[2] or self.name

    def part_list(self) -> PartList:
        return PartList(self.name, journal=self.journal)

    def exists(self) -> bool:
        is_there = any(name == DIRECTORY or name.startswith("stream=") for name in self.bucket.directories())
        return is_there or (self.journal is not None and self.journal.is_dir())

    def names(self) -> list[str]:
        now = time.time()
        objects = [one for one in self.bucket.objects() if one.path.startswith("stream=")]
        self._ages = {one.path: now - one.modified for one in objects}
        return sorted(self._ages)

    def read_lists(self) -> Lists:
        self.fetch_lists()
        self.bounds = bounds_below(self.root)
        return read_lists(self.root, self._begins)

    def fetch_lists(self) -> None:
        """Make the lists below `root` anew, each of its objects in the order of their names."""
        shutil.rmtree(self.root / DIRECTORY, ignore_errors=True)
        (self.root / DIRECTORY).mkdir()
        every = [one.path for one in self.bucket.objects(DIRECTORY)]
        objects = sorted(path for path in every if path.endswith(".jsonl"))
        for path in names_of(bounds_of(every)):
            (self.root / path).touch()
        begins: dict[str, list[int]] = {}
        lines: dict[str, int] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for path, content in zip(objects, pool.map(self.bucket.read, objects), strict=True):
                name, _, piece = path.removeprefix(f"{DIRECTORY}/").partition("/")
                name = f"{name}.jsonl" if piece else name
                begins.setdefault(f"{DIRECTORY}/{name}", []).append(lines.get(name, 0) + 1)
                lines[name] = lines.get(name, 0) + content.count(b"\n")
                with (self.root / DIRECTORY / name).open("ab") as file:
                    file.write(content)
        self._begins = dict(begins)

    def pieces(self, list_: str) -> int:
        """How many objects a list was of when it was fetched."""
        return len(self._begins.get(list_, ()))

    def age(self, path: str) -> float:
        """For how many seconds a part has been there, by the names that were asked for last."""
        return self._ages.get(path, 0.0)

    def settled(self, names: Sequence[str], lists: Lists) -> list[str]:
        known = {one.line.path for one in lists.parts} | lists.replaced
        return [name for name in names if name in known or self._ages.get(name, UPLOAD_SECONDS) >= UPLOAD_SECONDS]

    def is_running(self, collector: str) -> bool:
        return False

    def shared(self) -> AbstractContextManager[None]:
        return nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def here(self, *paths: str) -> Iterator[None]:
        fetched = [self.root / path for path in paths if not (self.root / path).exists()]
        try:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda path: self.bucket.fetch(path.relative_to(self.root).as_posix(), path), fetched))
            yield
        finally:
            for path in fetched:
                path.unlink(missing_ok=True)


def is_url(place: str | Path) -> bool:
    """Whether a place is an object store's. Raises ConfigError for one of a kind that is not known."""
    scheme, mark, _ = str(place).partition("://")
    if mark and scheme.lower() not in SCHEMES:
        known = ", ".join(f"{one}://" for one in SCHEMES)
        raise ConfigError(f"'{place}' is neither a directory nor a URL that can be read here; known are {known}")
    return bool(mark)


@contextmanager
def recording_files(place: str | Path, journal: Path | None = None) -> Iterator[RecordingFiles]:
    """The files of a recording. What was fetched is removed at the end. Raises ConfigError for a URL of an unknown kind."""
    if not is_url(place):
        yield RecordingFiles(Path(place), journal)
        return
    base = Path(tempfile.mkdtemp(prefix="xtrader-"))
    try:
        yield BucketFiles(str(place).rstrip("/"), base, journal)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(base)


def files_of(place: str | Path | RecordingFiles) -> RecordingFiles:
    """A directory as the files of a recording. Raises TypeError for a URL: `recording_files` opens one."""
    if isinstance(place, RecordingFiles):
        return place
    if "://" in str(place):
        raise TypeError(f"{place} is not a directory")
    return RecordingFiles(Path(place))
