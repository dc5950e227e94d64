"""Files of instances and of platforms on the disk.

Rule: a file is there whole or not at all, and an instance that exists is never replaced.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from xtrader.deploy.instance import Instance, instance_name, read_instance
from xtrader.deploy.quoting import dotenv
from xtrader.errors import ConfigError

HEAD = """\
# The recorder {name}: xtrader deploy render makes the files of a platform of this.
# Values are taken literally. .env.example explains every variable; a secret may be given as its name alone with _FILE.
"""


def make_instance(directory: Path, name: str, given: Mapping[str, str]) -> Instance:
    """Write DIRECTORY/NAME.env with these variables, and read it as the recorder would. Raises ConfigError, and leaves no file."""
    instance_name(name, "the name")
    path = directory / f"{name}.env"
    if path.exists():
        raise ConfigError(f"'{path}' exists already; edit it, or choose another name")
    text = HEAD.format(name=name) + "".join(f"{variable}={dotenv(value)}\n" for variable, value in given.items())
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        draft = Path(scratch, path.name)
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o600)
        try:
            read_instance(draft)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(draft), str(path))) from None
        os.link(draft, path)
    return read_instance(path)


def write(directory: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """Write each file below a directory; gives their paths. Raises OSError."""
    for name, text in sorted(files.items()):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=path.parent, delete=False) as draft:
            draft.write(text)
        os.chmod(draft.name, 0o644)
        os.replace(draft.name, path)
        yield path
