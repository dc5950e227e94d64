"""What `import xtrader` gives, and what it looks like at a prompt and in a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import xtrader
from tests.store import made


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> xtrader.Dataset:
    directory = tmp_path_factory.mktemp("top") / "data"
    made.record(directory)
    return xtrader.open(directory)


def test_every_public_name_is_there_and_has_a_docstring_and_importing_costs_nothing() -> None:
    for name in xtrader.__all__:
        assert name in dir(xtrader)
        assert name == "__version__" or getattr(xtrader, name).__doc__
    with pytest.raises(AttributeError, match="module 'xtrader' has no attribute 'nothing'"):
        _ = xtrader.nothing
    code = "import sys, xtrader; print([name for name in ('numpy', 'pyarrow', 'msgspec', 'asyncio') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_recording_says_what_it_holds(recording: xtrader.Dataset) -> None:
    assert list(recording) == ["BINANCE_SPOT@BTCUSDT", "OKX_SWAP@BTC-USDT-SWAP"]
    assert len(recording) == 2
    said = repr(recording)
    for word in ("2 instruments (L2, TRADES)", "2026-11-21", "2026-11-22", "finished files"):
        assert word in said
    assert "<table" in recording._repr_html_()
    assert "&lt;xtrader recording" in recording._repr_html_()


def test_an_answer_says_its_columns_and_gives_its_rows_in_every_usual_way(recording: xtrader.Dataset) -> None:
    answer = recording.trades("OKX_SWAP@BTCUSDT")
    assert answer.columns[:2] == ["exchange", "instrument"]
    assert all(column in repr(answer) for column in answer.columns)
    assert len(answer) == answer.to_arrow().num_rows == len(list(answer)) > 100
    assert bool(answer)
    assert not recording.trades("OKX_SWAP@BTCUSDT", end="2000-01-01")
    first = answer.head(3)
    assert len(first) == 3
    assert next(iter(answer))["price"] == first["price"].iloc[0]
    assert len(recording.trades("OKX_SWAP@BTCUSDT", end="2000-01-01").head()) == 0
    assert answer._repr_html_().count("<tr") == 11


def test_pandas_sees_plain_texts(recording: xtrader.Dataset) -> None:
    frame = recording.trades().to_pandas()
    assert {str(frame[name].dtype) for name in ("exchange", "instrument", "side")} == {"string[pyarrow]"}
    assert (frame["side"] == "buy").any()
    assert set(frame.groupby("exchange").size().index) == {"BINANCE_SPOT", "OKX_SWAP"}


def test_a_book_says_its_best_prices_and_how_deep_it_is(recording: xtrader.Dataset) -> None:
    book = recording.book_at("OKX_SWAP@BTCUSDT", "2026-11-21T23:58:30Z")
    (bid, _), (ask, _) = book.best()  # type: ignore[misc]
    said = repr(book)
    assert f"at {bid:.12g} | " in said
    assert f"at {ask:.12g}; " in said
    assert len(book) == len(book.bids.sizes) + len(book.asks.sizes)
    assert repr(xtrader.Book()) == "<Book no bid | no ask; 0 and 0 levels, sequence None>"
    assert xtrader.Book()


def test_the_example_notebook_runs(recording: xtrader.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    notebook = json.loads((Path(__file__).parents[1] / "examples" / "reading.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    monkeypatch.chdir(Path(recording._places[0].name).parent)
    names: dict[str, object] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 6
    for cell in cells:
        assert cell["outputs"] == []
        exec(compile("".join(cell["source"]), "reading.ipynb", "exec"), names)
    assert names["spread"] > 0  # type: ignore[operator]
