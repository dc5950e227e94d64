"""Put pip into a virtual environment that was made without it: Debian's and Ubuntu's Python comes without ensurepip.

`.venv/bin/python deploy/getpip.py`. The wheel is known by its hash, so it does not matter who hands it over; it installs itself.
"""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

URL = (
    "https://files.pythonhosted.org/packages/07/25/ee8c38ae72d66b844ce8eb9711ba905dba21ca1a8a0c960057c41cd23337/"
    "pip-26.3-py3-none-any.whl"
)
SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def fetch() -> bytes:
    """The wheel. Without certificates on the machine the hash alone has to do."""
    try:
        with urllib.request.urlopen(URL, timeout=60) as answer:
            return bytes(answer.read())
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLCertVerificationError):
            raise
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with urllib.request.urlopen(URL, timeout=60, context=context) as answer:
        return bytes(answer.read())


def main() -> int:
    """Install it into the environment of this Python; the exit code."""
    try:
        wheel = fetch()
    except OSError as error:
        print(f"pip cannot be fetched from {URL}: {error}", file=sys.stderr)
        return 1
    if hashlib.sha256(wheel).hexdigest() != SHA256:
        print(f"what came from {URL} is not pip 26.3: its hash is another one", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, URL.rpartition("/")[2])
        path.write_bytes(wheel)
        install = ["install", "--quiet", "--disable-pip-version-check", "--no-index", str(path)]
        return subprocess.run([sys.executable, f"{path}/pip", *install], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
