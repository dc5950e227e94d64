"""Venues and sinks are files that say what they are; one that is there is found, and one that is broken breaks itself alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.numbered import trade
from xtrader import sinks, venues
from xtrader.errors import ConfigError
from xtrader.pipeline.write_records import write_records
from xtrader.settings.load import load

ONE_FILE = '''
"""A line of text for each batch."""

from pathlib import Path

from xtrader.sinks.base import SinkSpec
from xtrader.sinks.memory import MemorySink

SINK = "lines"
VARIABLES = {"LINES_FILE": ("lines.txt", "Where the lines go.")}
SECRETS = ("LINES_TOKEN",)


def spec(run):
    return SinkSpec(SINK, {"file": run.options["LINES_FILE"]}, run.rotate_seconds, run.rotate_bytes)


def require(run, collector):
    pass


def make(arguments, collector, options):
    return Lines(Path(arguments["file"]))


class Lines(MemorySink):
    def __init__(self, path):
        super().__init__("lines")
        self.path = path

    def commit(self, first, last):
        parts = super().commit(first, last)
        self.path.write_text("".join(f"{record}\\n" for record in self.records))
        return parts
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in which venues and sinks are looked for too."""
    for package in (sinks, venues):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    venues.exchanges.cache_clear()
    yield tmp_path
    venues.exchanges.cache_clear()


def test_a_sink_is_one_file(place: Path) -> None:
    (place / "lines.py").write_text(ONE_FILE)
    assert sinks.names() == ("parquet", "lines", "questdb")
    variables = {"XTRADER_SINK": "lines", "LINES_FILE": str(place / "out.txt"), "LINES_FIEL": "x"}
    found = load({"subscriptions": "TRADES:OKX_SWAP@BTCUSDT"}, variables, None)
    assert found.sink_options == {"LINES_FILE": str(place / "out.txt")}
    assert found.warnings == ("the variable LINES_FIEL is unknown and ignored; did you mean LINES_FILE?",)
    assert not found.writes_files
    sink = sinks.module("lines").make({"file": found.sink_options["LINES_FILE"]}, "c1", {})
    write_records([trade(1), trade(2)], sink, "c1", {})
    assert (place / "out.txt").read_text() == f"{trade(1)}\n{trade(2)}\n"


def test_a_sink_whose_packages_are_not_installed_is_refused_by_their_names(place: Path) -> None:
    (place / "lines.py").write_text(ONE_FILE.replace("SECRETS", 'NEEDS = ("no_such_package", "click", "nor_this")\nSECRETS'))
    with pytest.raises(ConfigError) as caught:
        sinks.module("lines")
    assert str(caught.value) == "the sink lines cannot be used here: not installed: no_such_package, nor_this"


def test_a_broken_venue_is_known_and_breaks_itself_alone(place: Path) -> None:
    (place / "absent.py").write_text('import a_library_that_is_not_there\nEXCHANGES = ("ABSENT_SPOT",)\n')
    (place / "torn.py").write_text('EXCHANGES = ("TORN"')
    assert "ABSENT_SPOT" in venues.exchanges()
    with pytest.raises(ConfigError, match="ABSENT_SPOT cannot be used here: No module named 'a_library_that_is_not_there'"):
        venues.market("ABSENT_SPOT", {})
    assert venues.market("OKX_SWAP", {}).exchange == "OKX_SWAP"


def test_what_is_declared_is_known_without_importing_who_declares_it() -> None:
    program = """
import sys
from xtrader import sinks, venues
from xtrader.settings.load import load
assert venues.exchanges()["DERIBIT"] == "xtrader.venues.deribit"
assert "QUESTDB_TOKEN" in sinks.secrets()
load({"subscriptions": "L2:OKX_SWAP@BTCUSDT", "sink": "questdb"}, {}, None)
loaded = {name.split(".")[2] for name in sys.modules if name.startswith(("xtrader.venues.", "xtrader.sinks."))}
print(sorted(loaded & {'binance', 'okx', 'deribit', 'parquet', 'questdb'}), "numpy" in sys.modules, "cryptography" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[] False False\n"
