"""Where the QuestDB server is and how it is spoken to, from variables or from the client's own configuration string.

The rule: every key is known here and checked here, because the client accepts what it does not know; certificates are always
verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from xtrader.errors import ConfigError
from xtrader.quantities import seconds, truth

TRANSPORTS: Final = ("auto", "http", "tcp")
REPLAY_WINDOW: Final = 60.0
PREFIX: Final = re.compile(r"[A-Za-z0-9_]{0,64}")
_SCHEMES: Final = {"http": ("http", False), "https": ("http", True), "tcp": ("tcp", False), "tcps": ("tcp", True)}
_SECRETS: Final = ("password", "token")
_PASSED: Final = {
    "http": ("request_timeout", "request_min_throughput", "protocol_version"),
    "tcp": ("auth_timeout", "protocol_version", "bind_interface"),
}
"""Keys that go to the client as they are."""
_ACCESS: Final = ("addr", "username", "password", "token", "token_x", "token_y", "tls_verify", "tls_ca", "tls_roots")
_OURS: Final = ("auto_flush", "auto_flush_rows", "auto_flush_bytes", "auto_flush_interval", "retry_timeout", "init_buf_size")


@dataclass(frozen=True, slots=True)
class QuestdbServer:
    """One server. Ports are numbers, `replay_window` seconds; `extra` are keys for the client. Secrets never show in a repr."""

    host: str = "127.0.0.1"
    http_port: int = 9000
    ilp_port: int = 9009
    transport: str = "auto"
    tls: bool = False
    tls_ca: str = ""
    tls_roots: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_x: str = ""
    token_y: str = ""
    prefix: str = ""
    replay_window: float = REPLAY_WINDOW
    tables_exist: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    def conf(self, transport: str) -> str:
        """The client's configuration string for `http` or `tcp`. Holds secrets."""
        port = self.http_port if transport == "http" else self.ilp_port
        keys = {"addr": f"{self.host}:{port}", "auto_flush": "off", "protocol_version": "2"}
        if transport == "http":
            keys |= {"retry_timeout": "0", "request_timeout": "30000"}
        names = ("username", "password", "token") if transport == "http" else ("username", "token", "token_x", "token_y")
        keys |= {name: value for name in (*names, "tls_ca", "tls_roots") if (value := getattr(self, name))}
        keys |= {name: value for name, value in self.extra.items() if name in _PASSED[transport]}
        scheme = transport + ("s" if self.tls else "")
        return f"{scheme}::" + "".join(f"{name}={value.replace(';', ';;')};" for name, value in keys.items())


def target(options: Mapping[str, str]) -> QuestdbServer:
    """What the QUESTDB_… variables say. Raises ConfigError."""
    host = options.get("QUESTDB_HOST", "127.0.0.1").strip()
    if not host or re.search(r"[\s;/]", host):
        raise ConfigError(f"QUESTDB_HOST '{host}' is not a host name")
    transport = options.get("QUESTDB_TRANSPORT", "auto").strip().lower()
    if transport not in TRANSPORTS:
        raise ConfigError(f"QUESTDB_TRANSPORT '{transport}' is not one of {', '.join(TRANSPORTS)}")
    prefix = options.get("QUESTDB_TABLE_PREFIX", "").strip()
    if not PREFIX.fullmatch(prefix):
        raise ConfigError(f"QUESTDB_TABLE_PREFIX '{prefix}' is not up to 64 of the characters A-Z, a-z, 0-9 and _")
    window = seconds(options.get("QUESTDB_REPLAY_WINDOW", "60s"))
    if window is None or not 1 <= window <= 86_400:
        raise ConfigError(f"QUESTDB_REPLAY_WINDOW '{options['QUESTDB_REPLAY_WINDOW']}' is not a time from 1s to 24h, such as 60s")
    exist = _truth(options, "QUESTDB_TABLES_EXIST")
    text = options.get("QUESTDB_CONF", "").strip()
    if text:
        found = _from_text(text, prefix, window, exist)
    else:
        roots = options.get("QUESTDB_TLS_ROOTS", "")
        found = QuestdbServer(
            host=host,
            http_port=_port(options, "QUESTDB_HTTP_PORT", 9000),
            ilp_port=_port(options, "QUESTDB_ILP_PORT", 9009),
            transport=transport,
            tls=_truth(options, "QUESTDB_TLS") or bool(roots),
            tls_roots=roots,
            username=options.get("QUESTDB_USERNAME", ""),
            password=options.get("QUESTDB_PASSWORD", ""),
            token=options.get("QUESTDB_TOKEN", ""),
            token_x=options.get("QUESTDB_TOKEN_X", ""),
            token_y=options.get("QUESTDB_TOKEN_Y", ""),
            prefix=prefix,
            replay_window=window,
            tables_exist=exist,
        )
    _check(found)
    return found


def parse_conf(text: str) -> tuple[str, dict[str, str]]:
    """Scheme and keys of `scheme::key=value;…` (`;;` stands for a semicolon in a value). Raises ConfigError; it quotes no value."""
    scheme, separator, rest = text.partition("::")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(f"QUESTDB_CONF must begin with one of {', '.join(f'{name}::' for name in _SCHEMES)}")
    keys: dict[str, str] = {}
    for part in _split(rest):
        if not part:
            continue
        name, equals, value = part.partition("=")
        if not equals or not re.fullmatch(r"[a-z_0-9]+", name):
            raise ConfigError("QUESTDB_CONF holds a part that is not key=value")
        if name in keys:
            raise ConfigError(f"QUESTDB_CONF names {name} twice")
        keys[name] = value
    return scheme, keys


def _split(text: str) -> list[str]:
    return [part.replace("\0", ";") for part in text.replace(";;", "\0").split(";")]


def _from_text(text: str, prefix: str, window: float, exist: bool) -> QuestdbServer:
    scheme, keys = parse_conf(text)
    transport, tls = _SCHEMES[scheme]
    for name in keys:
        if name in _OURS:
            raise ConfigError(f"QUESTDB_CONF: {name} is set by xtrader itself; leave it away")
        if name not in (*_ACCESS, *_PASSED[transport]):
            raise ConfigError(f"QUESTDB_CONF: {name} is not a key of {scheme}")
    if keys.get("tls_verify", "on") != "on":
        raise ConfigError("QUESTDB_CONF: tls_verify must be on; give the certificate's root by tls_roots instead")
    if keys.get("tls_ca", "os_roots") not in ("webpki_roots", "os_roots", "webpki_and_os_roots", "pem_file"):
        raise ConfigError("QUESTDB_CONF: tls_ca must be webpki_roots, os_roots, webpki_and_os_roots or pem_file")
    if keys.get("protocol_version", "2") not in ("2", "3"):
        raise ConfigError("QUESTDB_CONF: protocol_version must be 2 or 3: older ones know no arrays")
    for name in ("request_timeout", "request_min_throughput", "auth_timeout"):
        if name in keys and not keys[name].isdigit():
            raise ConfigError(f"QUESTDB_CONF: {name} is not a number")
    host, colon, port = keys.get("addr", "").rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigError("QUESTDB_CONF: addr must be host:port")
    return QuestdbServer(
        host=host,
        transport=transport,
        tls=tls,
        extra={name: keys[name] for name in _PASSED[transport] if name in keys},
        http_port=int(port) if transport == "http" else 9000,
        ilp_port=int(port) if transport == "tcp" else 9009,
        tls_ca=keys.get("tls_ca", ""),
        tls_roots=keys.get("tls_roots", ""),
        username=keys.get("username", ""),
        password=keys.get("password", ""),
        token=keys.get("token", ""),
        token_x=keys.get("token_x", ""),
        token_y=keys.get("token_y", ""),
        prefix=prefix,
        replay_window=window,
        tables_exist=exist,
    )


def _check(found: QuestdbServer) -> None:
    if found.transport == "tcp" and not found.tables_exist:
        raise ConfigError(
            "over TCP alone tables can be neither made nor checked: make them with the statements of 'xtrader questdb ddl' "
            "and set QUESTDB_TABLES_EXIST=true"
        )
    if found.password and not found.username:
        raise ConfigError("QUESTDB_PASSWORD is set without QUESTDB_USERNAME")
    if found.password and found.token:
        raise ConfigError("QUESTDB_PASSWORD and QUESTDB_TOKEN are both set; keep one of them")
    if found.tls_roots and not Path(found.tls_roots).is_file():
        raise ConfigError(f"QUESTDB_TLS_ROOTS: there is no file '{found.tls_roots}'")
    for name in _SECRETS:
        if "\n" in getattr(found, name):
            raise ConfigError(f"QUESTDB_{name.upper()} holds a line break")


def _port(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default)).strip()
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise ConfigError(f"{name} '{text}' is not a port number")
    return int(text)


def _truth(options: Mapping[str, str], name: str) -> bool:
    value = truth(options.get(name, "false"))
    if value is None:
        raise ConfigError(f"{name} '{options[name]}' is neither true nor false")
    return value
