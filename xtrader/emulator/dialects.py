"""How recorded frames and clients' requests name streams, and how requests are answered: three ways of speaking, told by shape.

One rule: a stream that a client asks for at another speed than the recorded one is the same stream (`family`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

_HEAD = 400
_COMBINED = re.compile(rb'\s*\{\s*"stream"\s*:\s*"([^"]+)"')
_EVENT = re.compile(rb'"e"\s*:\s*"(depthUpdate|trade|aggTrade)"')
_SYMBOL = re.compile(rb'"s"\s*:\s*"([^"]+)"')
_ARG = re.compile(rb'\s*\{\s*"arg"\s*:\s*\{([^}]*)\}')
_CHANNEL = re.compile(rb'"channel"\s*:\s*"([^"]+)"')
_INSTRUMENT = re.compile(rb'"instId"\s*:\s*"([^"]+)"')
_PUSH = re.compile(rb'"method"\s*:\s*"subscription"')
_BOOK_ANSWER = re.compile(rb'\s*\{\s*"lastUpdateId"')
_BODY_SYMBOL = re.compile(rb'"symbol"\s*:\s*"([^"]+)"')
_KINDS = {b"depthUpdate": "depth", b"trade": "trade", b"aggTrade": "aggTrade"}
_DOTTED = re.compile(r"(book|trades)\.([^.]+)\.(?:raw|100ms|agg2)")


class Reply(NamedTuple):
    """What a client's message asks for, and what is said to it."""

    subscribe: Sequence[str] = ()
    unsubscribe: Sequence[str] = ()
    answers: Sequence[str] = ()


def stream_of(payload: bytes) -> str:
    """The stream of a recorded frame; empty for what is no data (answers, heartbeats)."""
    combined = _COMBINED.match(payload)
    if combined is not None:
        return combined[1].decode(errors="replace")
    argument = _ARG.match(payload)
    if argument is not None:
        channel, instrument = _CHANNEL.search(argument[1]), _INSTRUMENT.search(argument[1])
        if channel is None or instrument is None:
            return ""
        return f"{channel[1].decode(errors='replace')}:{instrument[1].decode(errors='replace')}"
    head = payload[:_HEAD]
    if _PUSH.search(head) is not None:
        channel = _CHANNEL.search(head) or _CHANNEL.search(payload)
        return "" if channel is None else channel[1].decode(errors="replace")
    event, symbol = _EVENT.search(head), _SYMBOL.search(head)
    if event is None or symbol is None:
        return ""
    return f"{symbol[1].decode(errors='replace').lower()}@{_KINDS[event[1]]}"


def family(stream: str) -> str:
    """The same for all speeds and cuts of what is otherwise one stream."""
    symbol, at, kind = stream.partition("@")
    if at:
        if kind == "depth" or kind.startswith("depth@"):
            return f"{symbol}@depth"
        return f"{symbol}@trade" if kind == "aggTrade" else stream
    dotted = _DOTTED.fullmatch(stream)
    if dotted is not None:
        return f"{dotted[1]}.{dotted[2]}"
    name, _, instrument = stream.partition(":")
    return f"books:{instrument}" if name in ("books-l2-tbt", "books50-l2-tbt") else stream


def asked_by(path: str) -> list[str]:
    """The streams that a connection's path asks for: `/stream?streams=a/b` or `/ws/a/b`."""
    parts = urlsplit(path)
    listed = parse_qs(parts.query).get("streams", [""])[0]
    if not listed and "/ws/" in parts.path:
        listed = parts.path.partition("/ws/")[2]
    return [name for name in listed.split("/") if "@" in name]


def book_of(url: str, body: bytes) -> str:
    """The family of the stream whose book a REST answer shows, `@depth` where neither URL nor body names it; empty for others."""
    if _BOOK_ANSWER.match(body) is None:
        return ""
    named = _BODY_SYMBOL.search(body, 0, _HEAD)
    symbol = parse_qs(urlsplit(url).query).get("symbol", [""])[0] or ("" if named is None else named[1].decode(errors="replace"))
    return f"{symbol.lower()}@depth"


def book_asked(path: str) -> str:
    """The family of the stream whose book a REST request asks for; empty for other requests."""
    parts = urlsplit(path)
    symbol = parse_qs(parts.query).get("symbol", [""])[0]
    return f"{symbol.lower()}@depth" if parts.path.endswith("/depth") else ""


def respond(text: str) -> Reply:
    """What a client's message asks for and what to answer. Unknown requests get an empty result; what is no request, nothing."""
    if text == "ping":
        return Reply(answers=("pong",))
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return Reply()
    if not isinstance(message, dict):
        return Reply()
    if "jsonrpc" in message:
        return _json_rpc(message)
    if "op" in message:
        return _operation(message)
    if "method" in message:
        return _method(message)
    return Reply()


def _method(message: dict[str, Any]) -> Reply:
    """`{"method":"SUBSCRIBE","params":["a@depth"],"id":1}`: acknowledged, whatever is asked."""
    names = [str(name) for name in message.get("params") or () if isinstance(name, str)]
    answers = (_text({"result": None, "id": message.get("id")}),)
    match message["method"]:
        case "SUBSCRIBE":
            return Reply(subscribe=names, answers=answers)
        case "UNSUBSCRIBE":
            return Reply(unsubscribe=names, answers=answers)
    return Reply(answers=answers)


def _operation(message: dict[str, Any]) -> Reply:
    """`{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}`: one event for each argument."""
    operation = message["op"]
    if operation == "login":
        return Reply(answers=(_text({"event": "login", "code": "0", "msg": "", "connId": "playback"}),))
    if operation not in ("subscribe", "unsubscribe"):
        return Reply()
    arguments = [argument for argument in message.get("args") or () if isinstance(argument, dict)]
    number = {"id": message["id"]} if "id" in message else {}
    answers = [_text({**number, "event": operation, "arg": argument, "connId": "playback"}) for argument in arguments]
    names = [f"{argument.get('channel', '')}:{argument.get('instId', '')}" for argument in arguments]
    return Reply(names, (), answers) if operation == "subscribe" else Reply((), names, answers)


def _json_rpc(message: dict[str, Any]) -> Reply:
    """JSON-RPC 2.0: every login is good, every channel there."""
    parameters = message.get("params") or {}
    channels = [str(name) for name in parameters.get("channels") or ()]
    method = str(message.get("method", "")).partition("/")[2]
    result: Any = "ok"
    match method:
        case "auth":
            result = {"access_token": "a", "refresh_token": "r", "expires_in": 900, "scope": "", "token_type": "bearer"}
        case "subscribe" | "unsubscribe":
            result = channels
        case "test":
            result = {"version": "1.2.26"}
    answers = (_text({"jsonrpc": "2.0", "id": message.get("id"), "result": result, "usIn": 0, "usOut": 0, "usDiff": 0}),)
    if method == "subscribe":
        return Reply(channels, (), answers)
    return Reply((), channels, answers) if method == "unsubscribe" else Reply(answers=answers)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
