"""What becomes of a command: its exit code, and one sentence on standard error where it failed.

Rule: what the user did wrong is exit code 2, never a traceback.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from xtrader.errors import ConfigError, StorageError, XTraderError

UNEXPECTED = 70
"""Exit code of a fault of ours (EX_SOFTWARE)."""
INTERRUPTED = 130
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


def leave_interrupts_to_the_system() -> None:
    """From here on an interrupt ends the process without a word; who was started with interrupts ignored goes on ignoring them."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(command: click.Command, arguments: Sequence[str] | None = None, name: str = "xtrader") -> int:
    """Run a command line, by default that of the process; returns the exit code (2 for input that cannot be used, 70 for a fault
    of ours). `name` is what its help calls it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command.main(args=None if arguments is None else list(arguments), prog_name=name, standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except click.ClickException as error:
        return _refuse(error.format_message(), 2)
    except XTraderError as error:
        return _refuse(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _refuse("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            kind = StorageError if error.errno in _DISK else ConfigError
            return _refuse(f"'{error.filename}': {error.strerror}", kind.exit_code)
        _log().exception("unexpected")
        return UNEXPECTED
    return 0


def _log() -> Any:
    import structlog

    from xtrader import logs

    if not structlog.is_configured():
        logs.set_up("info")
    return structlog.get_logger("xtrader")


def _refuse(sentence: str, code: int) -> int:
    if sys.argv[1:2] and sys.argv[1].startswith("_"):
        # A process of a recorder: what it says stands among the lines of that one's log.
        _log().error("process_ends", code=code, reason=sentence)
        return code
    click.echo(f"xtrader: {' '.join(sentence.split())}", err=True)
    return code
