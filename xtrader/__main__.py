"""`python -m xtrader`, and the program `xtrader`.

Rule: `healthcheck` does not wait for what the other commands import.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def program() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    if sys.argv[1:2] == ["healthcheck"]:
        from xtrader.cli import outcome
        from xtrader.cli.healthcheck import healthcheck

        sys.exit(outcome.run(healthcheck, sys.argv[2:], "xtrader healthcheck"))
    from xtrader.cli.main import program as whole

    whole()


if __name__ == "__main__":
    program()
