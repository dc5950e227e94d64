"""What the QUESTDB_ variables may say, and in which words they are refused."""

from __future__ import annotations

import pytest

from xtrader.errors import ConfigError
from xtrader.sinks.questdb.conf import parse_conf, target


def refusal(**variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        target({f"QUESTDB_{name}": value for name, value in variables.items()})
    return str(caught.value)


def test_without_variables_it_is_the_server_on_this_machine() -> None:
    found = target({})
    assert (found.host, found.http_port, found.ilp_port, found.transport, found.tls) == ("127.0.0.1", 9000, 9009, "auto", False)
    assert found.conf("http").startswith("http::addr=127.0.0.1:9000;auto_flush=off;protocol_version=2;retry_timeout=0;")
    assert found.conf("tcp") == "tcp::addr=127.0.0.1:9009;auto_flush=off;protocol_version=2;"


def test_the_clients_own_text_wins_over_the_other_variables() -> None:
    text = "https::addr=db.example:443;username=u;password=a;;b;request_timeout=5000;"
    found = target({"QUESTDB_CONF": text, "QUESTDB_HOST": "elsewhere"})
    assert (found.host, found.http_port, found.transport, found.tls, found.password) == ("db.example", 443, "http", True, "a;b")
    assert "password=a;;b;" in found.conf("http")
    assert "request_timeout=5000;" in found.conf("http")
    assert "a;b" not in repr(found)


def test_the_text_is_read_with_its_escapes() -> None:
    assert parse_conf("http::addr=h:1;token=x;;y=;") == ("http", {"addr": "h:1", "token": "x;y="})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("db:9000", "QUESTDB_CONF must begin with one of http::, https::, tcp::, tcps::"),
        ("ws::addr=h:1;", "QUESTDB_CONF must begin with one of"),
        ("http::addr=h:1;adr=x;", "QUESTDB_CONF: adr is not a key of http"),
        ("http::addr=h:1;addr=h:2;", "QUESTDB_CONF names addr twice"),
        ("http::addr=h:1;secret", "QUESTDB_CONF holds a part that is not key=value"),
        ("http::addr=h;", "QUESTDB_CONF: addr must be host:port"),
        ("http::addr=h:0;", "QUESTDB_CONF: addr must be host:port"),
        ("https::addr=h:1;tls_verify=unsafe_off;", "QUESTDB_CONF: tls_verify must be on"),
        ("https::addr=h:1;tls_ca=none;", "QUESTDB_CONF: tls_ca must be"),
        ("http::addr=h:1;auto_flush_rows=5;", "QUESTDB_CONF: auto_flush_rows is set by xtrader itself"),
        ("http::addr=h:1;retry_timeout=5;", "QUESTDB_CONF: retry_timeout is set by xtrader itself"),
        ("http::addr=h:1;protocol_version=1;", "QUESTDB_CONF: protocol_version must be 2 or 3"),
        ("http::addr=h:1;request_timeout=soon;", "QUESTDB_CONF: request_timeout is not a number"),
        ("http::addr=h:1;auth_timeout=5;", "QUESTDB_CONF: auth_timeout is not a key of http"),
        ("http::addr=h:1;password=hush;", "QUESTDB_PASSWORD is set without QUESTDB_USERNAME"),
        ("http::addr=h:1;username=u;password=hush;token=t;", "QUESTDB_PASSWORD and QUESTDB_TOKEN are both set"),
        ("https::addr=h:1;tls_roots=/nowhere.pem;", "QUESTDB_TLS_ROOTS: there is no file '/nowhere.pem'"),
        ("tcp::addr=h:1;", "over TCP alone tables can be neither made nor checked"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_without_its_secrets(text: str, sentence: str) -> None:
    said = refusal(CONF=text)
    assert said.startswith(sentence)
    assert "hush" not in said


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("HOST", "http://db", "QUESTDB_HOST 'http://db' is not a host name"),
        ("HTTP_PORT", "80x", "QUESTDB_HTTP_PORT '80x' is not a port number"),
        ("ILP_PORT", "70000", "QUESTDB_ILP_PORT '70000' is not a port number"),
        ("TRANSPORT", "udp", "QUESTDB_TRANSPORT 'udp' is not one of auto, http, tcp"),
        ("TABLE_PREFIX", "a-b'", "QUESTDB_TABLE_PREFIX 'a-b'' is not up to 64"),
        ("REPLAY_WINDOW", "0", "QUESTDB_REPLAY_WINDOW '0' is not a time from 1s to 24h"),
        ("TLS", "maybe", "QUESTDB_TLS 'maybe' is neither true nor false"),
        ("TRANSPORT", "tcp", "over TCP alone tables can be neither made nor checked"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str, sentence: str) -> None:
    assert refusal(**{name: value}).startswith(sentence)
