"""Parquet parts in an object store: made in a local directory, uploaded as they are finished, and settled when the store has them.

The rule: the store being slow or away delays nothing but the journal's release.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from xtrader.sinks.bucket import Bucket
from xtrader.sinks.parquet.sink import ParquetSink
from xtrader.sinks.uploads import Uploads

LAST_WAIT: Final = 20.0
"""Seconds that the end of a recording waits for the last uploads; the next start goes on with what is left."""
SHORT_WAIT: Final = 5.0
"""The same where the store was away before."""


class ObjectSink(ParquetSink):
    """A ParquetSink whose finished parts also go to `url`; local ones are kept, or removed once they are there."""

    def __init__(self, directory: Path, collector: str, url: str, *, keep_local: bool) -> None:
        super().__init__(directory, collector)
        self._uploads = Uploads(Bucket(url), directory, collector, keep_local=keep_local, tell=self._hear)

    def open(self, first: int) -> int:
        """See Sink: begins after what is finished, uploaded or not. The last commit is made again: its list may be torn."""
        self.hold(first)
        return super().open(self._uploads.open(first))

    def commit(self, first: int, last: int) -> int:
        """See Sink: the parts are finished here; their upload has begun."""
        parts = super().commit(first, last)
        self._uploads.take(last)
        return parts

    def settle(self, last: int, final: bool) -> int:
        """See Sink: what is in the store, or was listed by nobody because it made no part."""
        if final:
            self._uploads.finish(SHORT_WAIT if self.trouble else LAST_WAIT)
        settled = self._uploads.done(last)
        self._uploads.remove_emptied()
        return settled

    def close(self) -> None:
        """See Sink."""
        self._uploads.close()
        super().close()

    def _hear(self, trouble: str) -> None:
        self.trouble = trouble
