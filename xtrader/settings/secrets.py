"""Secrets as files: those that a variable names, and the credentials that a service manager hands over.

Rule: a file that everybody on the machine can read is no secret, and is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from xtrader.errors import ConfigError

CREDENTIAL = "xtrader_"
"""What systemd puts before the names of files that are loaded as a directory of the ID `xtrader`."""


def read_secret(path: str, origin: str) -> str:
    """What a file holds, without the white space round it. `origin` is the variable that names it. Raises ConfigError."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            mode = Path(path).stat().st_mode
            value = file.read().strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"{origin}: cannot read '{path}': {reason}") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(
            f"{origin}: everybody on this machine can read '{path}' (mode {stat.S_IMODE(mode):04o}); "
            "take that away, for example with chmod 600 (where an orchestrator mounts it: mode 0400, or 0440 with a group)"
        )
    if not value:
        raise ConfigError(f"{origin}: '{path}' is empty")
    return value


def with_credentials(variables: Mapping[str, str], secrets: Iterable[str]) -> Mapping[str, str]:
    """The variables of a process, and NAME_FILE for each of `secrets` that the service manager hands over as a file (systemd:
    $CREDENTIALS_DIRECTORY/NAME or /xtrader_NAME) and that no variable gives."""
    directory = variables.get("CREDENTIALS_DIRECTORY")
    if not directory:
        return variables
    found = {}
    for name in secrets:
        files = [os.path.join(directory, prefix + name) for prefix in ("", CREDENTIAL)]
        file = next(filter(os.path.isfile, files), None)
        if file is not None and not variables.get(name) and not variables.get(f"{name}_FILE"):
            found[f"{name}_FILE"] = file
    return {**variables, **found}
