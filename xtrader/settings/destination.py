"""Where Parquet files go: a directory, an object store by way of a local spool, or both. Reads what the settings say of it.

Rule: files are always made in a local directory first; an object store gets them when they are finished.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import platformdirs

from xtrader.errors import ConfigError
from xtrader.quantities import truth

SCHEMES = ("s3", "gs", "az")
URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<bucket>[^/?#@\s]*)(?P<prefix>/[^?#\s]*)?", re.IGNORECASE)
STORE_VARIABLE = re.compile(r"(AWS|AZURE|GOOGLE)_[A-Z0-9_]+")
"""Variables of the stores themselves: credentials, regions, addresses."""
STORE_SECRETS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
"""Those of them that may be given as NAME_FILE. Others that end so, such as AWS_WEB_IDENTITY_TOKEN_FILE, are the stores' own."""
MOST_ROTATE_BYTES = 4 << 30
"""Of a single put, all stores take more."""


class Given(Protocol):
    """A text and where it came from, as errors name it."""

    @property
    def text(self) -> str: ...

    @property
    def origin(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Upload:
    """An object store that gets every finished file: scheme://bucket/prefix, whether the local copies are kept after that, and
    the local directory where files are made if the user named none."""

    url: str
    keep_local: bool
    spool: Path | None


def upload_of(output: Given | None, url: Given | None, keep: Given | None) -> Upload | None:
    """What the output directory (if it is a URL) or the upload URL ask for; None for nothing. Raises ConfigError."""
    direct = output is not None and "://" in output.text
    if direct and url is not None and output is not None:
        raise ConfigError(f"{output.origin} is a URL already, so {url.origin} is one too many; keep one of them")
    asked = None if keep is None else truth(keep.text)
    if keep is not None and asked is None:
        raise ConfigError(f"{keep.origin} '{keep.text}' is neither true nor false")
    if output is not None and not direct and (scheme := output.text.partition(":")[0].lower()) in SCHEMES and ":" in output.text:
        path = output.text.partition(":")[2].lstrip("/")
        raise ConfigError(f"{output.origin} '{output.text}' is no directory and no URL; did you mean {scheme}://{path}?")
    given = output if direct else url
    if given is None:
        return None
    keep_local = not direct if asked is None else asked
    checked = checked_url(given)
    return Upload(checked, keep_local, spool_of(checked) if direct else None)


def require_usable(upload: Upload | None, rotate_bytes: int, variables: Mapping[str, str]) -> None:
    """Raise ConfigError for settings with which no upload can ever succeed. `variables` are those of the store."""
    if upload is None:
        return
    if rotate_bytes > MOST_ROTATE_BYTES:
        raise ConfigError("XTRADER_ROTATE_BYTES must be at most 4GiB where files are uploaded: stores refuse larger ones")
    if find_spec("obstore") is None:
        raise ConfigError(f"uploads to {_shown(upload.url)} need obstore, which is not installed here; use a local directory")
    if upload.url.startswith("s3://") and variables.get("AWS_PROFILE") and find_spec("boto3") is None:
        raise ConfigError("AWS_PROFILE needs boto3 to be read: pip install 'xtrader[aws]', or give the credentials as variables")


def secrets_of(variables: Mapping[str, str]) -> tuple[str, ...]:
    """The values among a store's variables that must never be shown."""
    return tuple(value for name, value in variables.items() if is_secret(name))


def is_secret(name: str) -> bool:
    """Whether a store's variable of this name holds what must never be shown."""
    return re.search("SECRET|TOKEN|KEY|SAS", name) is not None


def checked_url(given: Given) -> str:
    """The URL of an object store, without a slash at its end. Raises ConfigError, which shows no password."""
    found = URL.fullmatch(given.text.strip())
    if found is None or found["scheme"].lower() not in SCHEMES or not found["bucket"]:
        raise ConfigError(
            f"{given.origin} '{_shown(given.text)}' is not an object store such as s3://bucket/prefix (or gs://, az://)"
        )
    return f"{found['scheme'].lower()}://{found['bucket']}{(found['prefix'] or '').rstrip('/')}"


def spool_of(url: str) -> Path:
    """Where files for a URL are made: in the user's state directory, the same for the same URL."""
    slug = re.sub(r"[^a-z0-9]+", "-", url.partition("://")[2].lower()).strip("-")[:40].rstrip("-")
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return Path(platformdirs.user_state_dir("xtrader")).absolute() / "spool" / f"{slug}-{digest}"


def _shown(text: str) -> str:
    """A URL without what may be a password in it."""
    return re.sub(r"//[^/@]*@", "//…@", text).partition("?")[0]
