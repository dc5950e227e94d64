import asyncio
import io

from rich.console import Console

from xtrader.app.status import Row, show, table

ROWS = [
    Row("L2:OKX_SWAP@BTC-USDT-SWAP", "live", 10.04, 61685.99, "ok", 0),
    Row("TRADES:DERIBIT@BTC-PERPETUAL", "gap", 0.0, None, "", 2, "disconnect [1006]"),
]


def test_a_row_shows_everything_that_it_holds() -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(table(ROWS))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[1] == ["L2:OKX_SWAP@BTC-USDT-SWAP", "live", "10.0", "61685.99", "ok", "0"]
    assert lines[2] == ["TRADES:DERIBIT@BTC-PERPETUAL", "gap", "0.0", "2", "disconnect", "[1006]"]


def test_nothing_is_drawn_where_nobody_watches() -> None:
    console = Console(file=io.StringIO())
    asyncio.run(show(lambda: ROWS, console=console))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_on_a_terminal_the_last_state_stays_on_the_screen() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    rows = [ROWS[0]]

    async def watch() -> None:
        task = asyncio.create_task(show(lambda: rows, console=console))
        await asyncio.sleep(0)
        rows[:] = ROWS
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    assert isinstance(console.file, io.StringIO)
    assert "disconnect" in console.file.getvalue()
