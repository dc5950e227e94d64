"""Runs the command line as a user does: a process of its own, in a directory of its own, with only the variables given."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def xtrader(
    directory: Path, *arguments: str, environ: Mapping[str, str] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_CACHE_HOME": str(directory / "cache")}
    variables |= {"XTRADER_HTTP": "off", **(environ or {})}
    # The package beside these tests, wherever another one may be installed.
    variables["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "xtrader", *arguments]
    return subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, timeout=timeout, check=False)
