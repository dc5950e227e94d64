"""Uploads: carries what a manifest lists into a bucket, in a thread of its own, for ever.

The rule: the bucket says what is done. A commit's parts are put first, then its lines as one object, `_manifest/<collector>/
<first offset>-<last offset>.jsonl`: what has that object is all there, and a list is its objects' content in the order of their
names, byte for byte the local one. Only then are local copies removed, if they are to be.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import structlog

from xtrader.durable import keep_file
from xtrader.errors import SinkRetry
from xtrader.pauses import FIRST, Pauses
from xtrader.sinks.bucket import Bucket, ObjectInTheWay
from xtrader.sinks.manifest import DIRECTORY, ManifestLine, end_of
from xtrader.sinks.uploaded import UploadProgress, progress_file, progress_of

FIRST_PAUSE: Final = FIRST
LONGEST_PAUSE: Final = 60.0
AT_ONCE: Final = 8
BIG: Final = 64 << 20
"""Bytes of a part that is put alone, because it is held in memory meanwhile."""

log = structlog.get_logger("xtrader.sinks")


class Commit(NamedTuple):
    """The parts of journal offsets [first, last), listed in bytes [start, end) of the list."""

    first: int
    last: int
    start: int
    end: int


class Uploads:
    """Puts the parts of one collector below `directory` into a bucket. `tell` gets what keeps it waiting, empty when nothing
    does; it is called from the uploading thread."""

    def __init__(self, bucket: Bucket, directory: Path, collector: str, *, keep_local: bool, tell: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._directory = directory
        self._collector = collector
        self._keep_local = keep_local
        self._tell = tell
        self._list = directory / DIRECTORY / f"{collector}.jsonl"
        self._kept = progress_file(directory, collector)
        self._progress = UploadProgress(bucket.url)
        self._changed = threading.Condition()
        self._pending: list[Commit] = []
        self._emptied: set[Path] = set()
        self._read = 0
        self._closed = False
        self._hurry = False
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def open(self, first: int) -> int:
        """Begin, or go on. Returns the offset from which parts must be made: nothing below it is missing in the list, though the
        lines of the last commit may be. Raises OSError."""
        if self._thread is None:
            self._progress = self._known()
            self._read = end_of(self._list, self._progress.offset)
            if not self._keep_local:
                self._emptied.update(self._directory.glob("stream=*/*/*/*"))
            self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
            self._thread.start()
        first = max(first, self._progress.offset)
        listed = self._listed(self._read)
        if listed and listed[-1].last > first:
            first = max(first, listed[-1].first)
        self.take(first)
        return first

    def take(self, last: int) -> None:
        """Everything below offset `last` is listed: put what is new of it. Raises OSError."""
        new = [commit for commit in self._listed(self._read) if commit.last <= last]
        if new:
            with self._changed:
                self._read = new[-1].end
                self._pending += new
                self._changed.notify_all()

    def done(self, last: int) -> int:
        """The offset, at most `last`, below which everything is in the bucket. Raises what the thread died of, if it did."""
        if self._failure is not None:
            raise self._failure
        with self._changed:
            return min(self._pending[0].first, last) if self._pending else last

    def finish(self, seconds: float) -> bool:
        """Wait at most so long for all to be in the bucket; pauses are cut short. Whether it is."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            finished = self._changed.wait_for(lambda: not self._pending, seconds)
            self._hurry = False
            return finished

    def remove_emptied(self) -> None:
        """Remove the directories that local parts were removed from, if nothing is left in them. To be called by the thread that
        makes parts, so that none is on its way into an empty directory."""
        with self._changed:
            emptied, self._emptied = self._emptied, set()
        for directory in emptied:
            _remove_upwards(directory, self._directory)

    def close(self) -> None:
        """Put nothing more; what is under way ends by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _known(self) -> UploadProgress:
        """The progress that was kept, if it is of this bucket and there is a list."""
        found = progress_of(self._directory, self._collector)
        is_ours = found is not None and found.url == self._bucket.url and self._list.exists()
        return found if found is not None and is_ours else UploadProgress(self._bucket.url)

    def _listed(self, start: int) -> list[Commit]:
        """The commits in the list from byte `start` on; the last one may lack lines."""
        commits: list[Commit] = []
        if not self._list.exists():
            return commits
        with self._list.open("rb") as file:
            file.seek(start)
            for text in file:
                end = start + len(text)
                if not text.endswith(b"\n"):
                    break
                line = msgspec.json.decode(text, type=ManifestLine)
                if commits and commits[-1].first == line.first_offset and commits[-1].last == line.last_offset:
                    commits[-1] = commits[-1]._replace(end=end)
                else:
                    commits.append(Commit(line.first_offset, line.last_offset, start, end))
                start = end
        return commits

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            log.exception("uploads_died")
            self._failure = error

    def _work(self) -> None:
        pauses = Pauses(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        achieved = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._pending)
                if self._closed:
                    return
                commits = list(self._pending)
            error = self._put_all(commits)
            self._tell("" if error is None else str(error))
            achieved = achieved or len(self._pending) < len(commits)
            if error is not None:
                with self._changed:
                    is_ending = self._hurry
                seconds = pauses.after_failure(achieved=achieved, ending=is_ending)
                achieved = False
                tell = log.error if isinstance(error, ObjectInTheWay) else log.warning
                tell("upload_waits", error=str(error), seconds=round(seconds, 2), commits=len(self._pending))
                self._pause(seconds, is_ending=is_ending)

    def _pause(self, seconds: float, *, is_ending: bool) -> None:
        """A pause that began before the end is cut short by it, one that began in it is not."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._hurry and not is_ending), seconds)

    def _put_all(self, commits: Sequence[Commit]) -> Exception | None:
        """Put commits; one with an object in its way is passed by, any other trouble ends it. Returns the last error."""
        met: Exception | None = None
        for commit in commits:
            try:
                if self._closed:
                    break
                self._put(commit)
                self._settle(commit)
            except ObjectInTheWay as error:
                met = error
            except (SinkRetry, OSError) as error:
                return error
        return met

    def _put(self, commit: Commit) -> None:
        with self._list.open("rb") as file:
            file.seek(commit.start)
            text = file.read(commit.end - commit.start)
        lines = [msgspec.json.decode(one, type=ManifestLine) for one in text.splitlines()]
        name = f"{DIRECTORY}/{self._collector}/{commit.first:020d}-{commit.last:020d}.jsonl"
        if not self._bucket.holds(name, len(text), hashlib.sha256(text).hexdigest()):
            with ThreadPoolExecutor(AT_ONCE) as pool:
                try:
                    list(pool.map(self._put_part, [line for line in lines if line.bytes < BIG]))
                except BaseException:
                    # A store that refused one part is not asked to take all the others too.
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
            for line in lines:
                if line.bytes >= BIG:
                    self._put_part(line)
            self._bucket.put(name, text)
        if not self._keep_local:
            for line in lines:
                path = self._directory / line.path
                path.unlink(missing_ok=True)
                self._emptied.add(path.parent)

    def _put_part(self, line: ManifestLine) -> None:
        try:
            content = (self._directory / line.path).read_bytes()
        except FileNotFoundError:
            if not self._bucket.holds(line.path, line.bytes, line.sha256):
                raise SinkRetry(f"{line.path} is listed, but neither here nor in {self._bucket.url}") from None
            return
        if hashlib.sha256(content).hexdigest() != line.sha256:
            raise SinkRetry(f"{line.path} is damaged: it is not what the manifest says")
        self._bucket.put(line.path, content)

    def _settle(self, commit: Commit) -> None:
        with self._changed:
            in_order = self._pending[0] == commit
            self._pending.remove(commit)
            self._changed.notify_all()
        if in_order:
            self._progress = UploadProgress(self._bucket.url, commit.last)
            keep_file(self._kept, msgspec.json.encode(self._progress))


def _remove_upwards(directory: Path, root: Path) -> None:
    """Remove an empty directory, and its parents below `root` that become empty by it."""
    while directory != root:
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent
