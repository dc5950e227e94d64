"""The recording of tests.store.made in a directory and in a bucket, and what commands say of each."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from tests import objectstore
from tests.objectstore import KEYS, Store
from xtrader.cli.main import main


class Ran(NamedTuple):
    """PLACE stands for where the recording lies."""

    code: int
    out: str
    err: str


class Both(NamedTuple):
    """The same recording in a directory and in a bucket."""

    directory: Path
    url: str
    capfd: pytest.CaptureFixture[str]

    def said(self, *words: str) -> tuple[Ran, Ran]:
        """What a command says of the directory and of the bucket."""
        return self.run(words, str(self.directory)), self.run(words, self.url)

    def run(self, words: Sequence[str], place: str = "PLACE") -> Ran:
        """Run a command, with `place` for the word PLACE."""
        self.capfd.readouterr()
        code = 0
        try:
            code = main([word.replace("PLACE", place) for word in words])
        except SystemExit as stop:
            code = int(str(stop.code or 0))
        out, err = self.capfd.readouterr()
        return Ran(code, out.replace(place, "PLACE"), err.replace(place, "PLACE"))


def reach(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find the store."""
    for name, value in (KEYS | {"AWS_ENDPOINT_URL": store.url}).items():
        monkeypatch.setenv(name, value)


def put(recording: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket that holds the recording; its URL."""
    reach(store, monkeypatch)
    url = f"s3://{store.make_bucket(f'bucket-{uuid4().hex[:12]}')}/of/rec"
    objectstore.upload(recording, url)
    return url


def copied(recording: Path, to: Path) -> Path:
    shutil.copytree(recording, to)
    return to
