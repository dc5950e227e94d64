"""`python -m xtrader`, and the program `xtrader`.

Rule: `healthcheck` does not wait for what the other commands import, and nothing is printed of an interrupt meanwhile.
"""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def program() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # Until the command runs there is nothing to undo. What the recorder starts (`_deliver`, …) is told by it to end, not by the
    # terminal, which sends an interrupt to all of them.
    if sys.argv[1:2] and sys.argv[1].startswith("_"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] == ["healthcheck"]:
        from xtrader.cli import outcome
        from xtrader.cli.healthcheck import healthcheck

        sys.exit(outcome.run(healthcheck, sys.argv[2:], "xtrader healthcheck"))
    from xtrader.cli.main import program as whole

    whole()


if __name__ == "__main__":
    program()
