import asyncio
import io

import msgspec
from rich.console import Console

from tests.ops.made import facts, subscription
from xtrader.app.status import show, table

LIVE = subscription("L2:OKX_SWAP@BTC-USDT-SWAP", rate=10.04, bid=61685.98, ask=61686.0, book="ok")
LOST = subscription("TRADES:DERIBIT@BTC-PERPETUAL", state="gap", rate=0.0, gaps={"disconnect": 2}, detail="disconnect [1006]")


def test_a_row_shows_everything_that_it_holds() -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(table(facts(LIVE, LOST)))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[1] == ["L2:OKX_SWAP@BTC-USDT-SWAP", "live", "10.0", "61685.99", "ok", "0"]
    assert lines[2] == ["TRADES:DERIBIT@BTC-PERPETUAL", "gap", "0.0", "2", "disconnect", "[1006]"]


def test_a_line_shows_the_last_value_of_its_own_stream() -> None:
    console = Console(file=io.StringIO(), width=140)
    rate = subscription("FUNDING:OKX_SWAP@BTC-USDT-SWAP", last_price=61685.98, last_value=0.000125)
    console.print(table(facts(rate, subscription("TRADES:OKX_SWAP@BTC-USDT-SWAP", last_price=61685.98, last_value=61685.98))))
    assert isinstance(console.file, io.StringIO)
    assert [line.split()[3] for line in console.file.getvalue().splitlines()[1:]] == ["0.000125", "61685.98"]


def test_what_is_told_stands_below_the_lines() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(table(facts(), "1 of 2 in sync"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].strip() == "1 of 2 in sync"


def test_nothing_is_drawn_where_nobody_watches() -> None:
    console = Console(file=io.StringIO())
    asyncio.run(show(lambda: facts(LIVE), console=console))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""


def test_on_a_terminal_the_last_state_stays_on_the_screen() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=140)
    seen = [facts(LIVE)]

    async def watch() -> None:
        task = asyncio.create_task(show(lambda: seen[-1], console=console))
        await asyncio.sleep(0)
        seen.append(msgspec.structs.replace(seen[0], subscriptions=(LIVE, LOST)))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    assert isinstance(console.file, io.StringIO)
    assert "disconnect" in console.file.getvalue()
