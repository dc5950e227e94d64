"""Objects in a store: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage; by way of `obstore`.

The rule: an object is put only where there is none (`If-None-Match: *`), so what is there is never overwritten, by nobody's
mistake. Credentials and addresses come from the process environment, as those services define it, and appear in no error.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from xtrader.diagnosis import Diagnosis, ok, wrong
from xtrader.errors import SinkRetry

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import ObjectStore

LEAST_TIMEOUT: Final = 60.0
EXAMINED_WITHIN: Final = 10.0
"""Seconds for a request of an examination."""
LARGE: Final = 1 << 30
"""A part may have so many bytes: how long its transfer may take."""
SLOWEST: Final = 65_536
"""Bytes per second below which a transfer is given up, and begun again later."""
_CREDENTIALS_LIVE: Final = timedelta(minutes=5)
_CODE: Final = re.compile(r"<Code>([^<]{1,80})</Code>\s*(?:<Message>([^<]{1,300})</Message>)?")
_STATUS: Final = re.compile(r"status code: (\d{3}[\w ]*)")
_CAUSE: Final = re.compile(r'message: "([^"\\]{1,100})"')
_LONGEST_WORDS: Final = 200
_TRIAL: Final = "_xtrader-doctor"
_TRIAL_TEXT: Final = b"put here by xtrader doctor to see that it can be; nobody needs it\n"
ATTEMPTS: Final = 4
"""How often a command asks the store, after pauses that double from half a second, until it gives up."""
_Result = TypeVar("_Result")


class ObjectInTheWay(SinkRetry):
    """Another object has the name. It is left as it is; somebody must move it away."""


class BucketObject(NamedTuple):
    """An object as the store lists it: `modified` in seconds since the epoch, by the store's clock."""

    path: str
    size: int
    modified: float


class Bucket:
    """What lies below `url`, such as s3://bucket/prefix. All methods raise SinkRetry for what may be better later."""

    def __init__(self, url: str, least_timeout: float = LEAST_TIMEOUT) -> None:
        self.url = url
        self._least = least_timeout
        self._stores: dict[int, ObjectStore] = {}

    def put(self, path: str, content: bytes) -> None:
        """Make an object. One that is there with the same content is as good; raises ObjectInTheWay if it has another."""
        try:
            obstore.put(self._store(len(content)), path, content, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if not self.holds(path, len(content), hashlib.sha256(content).hexdigest()):
                raise SinkRetry(f"{self.url}/{path} went away while it was looked at") from None
        except (BaseError, OSError) as error:
            raise SinkRetry(f"{self.url}: {reason(error)}") from None

    def holds(self, path: str, size: int, sha256: str) -> bool:
        """Whether the object is there with this content; raises ObjectInTheWay if there is one with another."""
        try:
            found = obstore.get(self._store(size), path)
            if found.meta["size"] == size and _digest(found) == sha256:
                return True
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                raise SinkRetry(f"{self.url}: {reason(error)}") from None
            return False
        except (BaseError, OSError) as error:
            raise SinkRetry(f"{self.url}: {reason(error)}") from None
        raise ObjectInTheWay(f"{self.url}/{path} is there with another content, and is left so: move it away")

    def names(self, prefix: str) -> list[str]:
        """The paths of all objects below a prefix."""
        try:
            return [meta["path"] for chunk in obstore.list(self._store(0), prefix) for meta in chunk]
        except (BaseError, OSError) as error:
            raise SinkRetry(f"{self.url}: {reason(error)}") from None

    def directories(self) -> list[str]:
        """The names at the top that have objects below them."""
        found = self._again(lambda: obstore.list_with_delimiter(self._store(0), None))
        return [str(one) for one in found["common_prefixes"]]

    def objects(self, prefix: str = "") -> list[BucketObject]:
        """All objects below a directory, sorted by path; those of a store that does not answer are asked for again."""

        def ask() -> list[BucketObject]:
            chunks = obstore.list(self._store(0), prefix or None)
            return [BucketObject(one["path"], one["size"], one["last_modified"].timestamp()) for chunk in chunks for one in chunk]

        return sorted(self._again(ask))

    def read(self, path: str) -> bytes:
        """What an object holds. Raises FileNotFoundError."""
        return bytes(self._again(lambda: obstore.get(self._store(0), path).bytes()))

    def fetch(self, path: str, target: Path) -> bool:
        """Write an object to a file; False if there is none. A file that is there is whole."""

        def get() -> bool:
            found = obstore.get(self._store(LARGE), path)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.tmp")
            with temporary.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
            temporary.replace(target)
            return True

        try:
            return self._again(get)
        except FileNotFoundError:
            return False

    def remove(self, path: str) -> None:
        """Remove an object; one that is not there is as good."""
        try:
            self._again(lambda: obstore.delete(self._store(0), path))
        except FileNotFoundError:
            return

    def _again(self, ask: Callable[[], _Result]) -> _Result:
        """Ask until the store answers, ATTEMPTS times."""
        for attempt in range(ATTEMPTS):
            try:
                return ask()
            except FileNotFoundError as error:
                if "<Code>NoSuchBucket</Code>" in str(error):
                    raise SinkRetry(f"{self.url}: {reason(error)}") from None
                raise
            except (BaseError, OSError) as error:
                if attempt + 1 == ATTEMPTS or _is_final(error):
                    raise SinkRetry(f"{self.url}: {reason(error)}") from None
                time.sleep(0.5 * 2**attempt)
        raise AssertionError

    def _store(self, size: int) -> ObjectStore:
        """A client with the patience that a transfer of so many bytes needs: a request's whole time is what can be limited."""
        doublings = (int(size / SLOWEST / self._least)).bit_length()
        store = self._stores.get(doublings)
        if store is None:
            store = self._stores[doublings] = self._connect(self._least * 2**doublings)
        return store

    def _connect(self, timeout: float) -> ObjectStore:
        options: Any = {"allow_http": True, "timeout": timedelta(seconds=timeout)}
        others: Any = {}
        if self.url.startswith("s3://"):
            others = {"config": {"checksum_algorithm": "SHA256"}, "credential_provider": _aws_credentials()}
        try:
            return from_url(self.url, client_options=options, retry_config={"max_retries": 0}, **others)
        except BaseError as error:
            raise SinkRetry(f"{self.url}: {reason(error)}") from None


def examine_store(url: str) -> Diagnosis:
    """Whether objects can be put below `url`, and read again: by one small object that stays there, always the same."""
    about = f"object store {url}"
    try:
        Bucket(url, EXAMINED_WITHIN).put(_TRIAL, _TRIAL_TEXT)
        if not Bucket(url, EXAMINED_WITHIN).holds(_TRIAL, len(_TRIAL_TEXT), hashlib.sha256(_TRIAL_TEXT).hexdigest()):
            return wrong(about, f"the object {_TRIAL} was put, and is not there", "is it a store that keeps what it is given?")
    except SinkRetry as error:
        remedy = "are bucket, region, address and credentials right (AWS_…)? docs/objects.md says which rights are needed"
        return wrong(about, f"objects cannot be put: {error}", remedy)
    return ok(about, "an object can be put, and read again")


def file_system(scheme: str) -> Any:
    """All that a kind of store holds, as a file system of fsspec; paths begin with a bucket or container."""
    from obstore.fsspec import FsspecStore

    options: Any = {"allow_http": True}
    protocol: Any = scheme
    return FsspecStore(protocol, client_options=options)


def _is_final(error: BaseException) -> bool:
    """Whether the store refused, which asking again does not change."""
    found = _STATUS.search(str(error))
    return found is not None and found[1].startswith("4") and not found[1].startswith(("408", "429"))


def reason(error: BaseException) -> str:
    """What went wrong, in a line. The rest of such a text is left out: a service may repeat a token in its answer."""
    text = str(error)
    code = _CODE.search(text)
    if code is not None:
        return f"{code[1]}: {code[2]}" if code[2] else code[1]
    status = _STATUS.search(text)
    if status is not None:
        return f"answered {status[1].strip()}"
    words = text.partition("\n")[0].rpartition(" - ")[2][:_LONGEST_WORDS]
    cause = _CAUSE.search(text)
    return f"{words} ({cause[1]})" if cause is not None else words


def _digest(found: Any) -> str:
    digest = hashlib.sha256()
    for chunk in found.stream():
        digest.update(chunk)
    return digest.hexdigest()


def _aws_credentials() -> Any:
    """Where boto3 is installed, its chain: variables, profiles, single sign-on, roles. None: the store's own, without profiles.
    Raises SinkRetry."""
    try:
        boto3 = importlib.import_module("boto3")
        provider = importlib.import_module("obstore.auth.boto3").Boto3CredentialProvider
    except ImportError:
        return None
    try:
        session = boto3.Session()
        return None if session.get_credentials() is None else provider(session, ttl=_CREDENTIALS_LIVE)
    except Exception as error:  # botocore's errors have no common base, and any of them means that there are no credentials now
        raise SinkRetry(f"no credentials: {type(error).__name__}: {reason(error)}") from None
