"""xtrader's own raw files: what is written is read back, a kill or a damaged block loses that block only, secrets are not kept."""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests.needs import missing
from xtrader.errors import ConfigError, StorageError
from xtrader.recordings import redact
from xtrader.recordings.events import Answered, Closed, Event, Opened, Received, Sent
from xtrader.recordings.raw import BLOCK, RawWriter, events

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
PAYLOADS = [b'{"a":1}', b"", b"R 1 2 3\nS 4", bytes(range(256)), "ü €".encode()]


def record(directory: Path, *, blocks: int = 3) -> Path:
    """A small file of so many blocks, closed in good order."""
    writer = RawWriter(directory, "X_SPOT", "X_SPOT/0", "wss://x.com/ws", START)
    writer.sent('{"op":"subscribe"}', START + 1)
    for n in range(blocks):
        for i, payload in enumerate(PAYLOADS):
            writer.received(memoryview(payload), START + n * SECOND + 10 + i)
        writer.answered("https://x.com/depth?symbol=A", 200, b'{"bids":[]}\n', {"Date": "now"}, START + (n + 1) * SECOND)
    writer.close()
    assert writer.path is not None
    return writer.path


def read(path: Path) -> tuple[list[Event], list[str]]:
    damage: list[str] = []
    return list(events(path, damage)), damage


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    path = record(tmp_path, blocks=1)
    name = path.name
    assert read(path) == (
        [
            Opened(name, "wss://x.com/ws", START, "X_SPOT"),
            Sent(name, b'{"op":"subscribe"}', START + 1),
            *(Received(name, payload, START + 10 + i) for i, payload in enumerate(PAYLOADS)),
            Answered("https://x.com/depth?symbol=A", 200, b'{"bids":[]}\n', {"Date": "now"}, START + SECOND, name),
            Closed(name, START + SECOND, "closed"),
        ],
        [],
    )


def test_a_recording_begins_when_its_connection_stood_and_not_when_it_was_tried(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path, "X", "X/0", "wss://x.com", START)
    writer.opened(START + SECOND)
    writer.received(b"{}", START + 2 * SECOND)
    writer.opened(START + 3 * SECOND)
    writer.close()
    assert writer.path is not None
    name = writer.path.name
    assert read(writer.path)[0] == [
        Opened(name, "wss://x.com", START + SECOND, "X"),
        Received(name, b"{}", START + 2 * SECOND),
        Closed(name, START + 2 * SECOND, "closed"),
    ]


def test_a_torn_file_keeps_every_block_before_the_tear(tmp_path: Path) -> None:
    path = record(tmp_path)
    whole = path.read_bytes()
    complete, _ = read(path)
    sizes = set()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        damage: list[str] = []
        try:
            kept = list(events(path, damage))
        except ConfigError:
            kept = []
        else:
            assert isinstance(kept[-1], Closed)
            kept.pop()
        assert kept == complete[: len(kept)]
        sizes.add(len(kept))
    assert len(sizes) == 4, "nothing, one, two or three blocks"


def test_a_flipped_bit_loses_its_block_only_and_is_told(tmp_path: Path) -> None:
    path = record(tmp_path)
    whole = bytearray(path.read_bytes())
    complete, _ = read(path)
    second = whole.index(whole[:8], 8)
    whole[second + 40] ^= 1
    path.write_bytes(whole)
    kept, damage = read(path)
    assert damage == [f"{path.name}: block 2 is damaged and was left out"]
    lost = Closed(path.name, complete[7].ts, "a damaged part of the recording was left out")
    assert kept == [*complete[:8], lost, *complete[14:]]


def test_a_block_whose_head_is_damaged_costs_no_other(tmp_path: Path) -> None:
    path = record(tmp_path)
    whole = path.read_bytes()
    complete, _ = read(path)
    second = whole.index(whole[:8], 8)
    for at in range(20):
        for bit in (1, 128):
            torn = bytearray(whole)
            torn[second + at] ^= bit
            path.write_bytes(torn)
            kept, damage = read(path)
            assert damage == [f"{path.name}: block 2 is damaged and was left out"]
            assert [event for event in kept if type(event) is not Closed] == [
                event for event in (*complete[:8], *complete[14:]) if type(event) is not Closed
            ]


def test_whatever_is_cut_out_of_a_file_only_the_blocks_that_it_touches_are_lost(tmp_path: Path) -> None:
    path = record(tmp_path, blocks=4)
    whole = path.read_bytes()
    complete, _ = read(path)
    noise = Random(3)
    for _ in range(300):
        begin, length = noise.randrange(len(whole)), noise.choice([1, 7, 50, 300])
        path.write_bytes(whole[:begin] + whole[begin + length :])
        try:
            kept, damage = read(path)
        except ConfigError:
            continue
        left = [event for event in kept if type(event) is not Closed]
        assert all(event in complete for event in left)
        assert left == sorted(left, key=lambda event: event.ts)
        assert damage
        assert len(left) >= len(complete) - 1 - 2 * 6 - 2


def test_a_block_that_stands_there_twice_is_taken_once(tmp_path: Path) -> None:
    path = record(tmp_path)
    whole = path.read_bytes()
    complete, _ = read(path)
    second = whole.index(whole[:8], 8)
    path.write_bytes(whole[:second] + whole)
    kept, damage = read(path)
    assert damage == [f"{path.name}: block 2 stands there twice and was taken once"]
    assert kept == complete


def test_zstd_itself_prints_a_file(tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        missing("the zstd program is not here (apt install zstd)")
    printed = subprocess.run(["zstd", "-dc", record(tmp_path)], capture_output=True, check=True).stdout
    first, second, *_ = printed.split(b"\n")
    assert first == b'O 1700000000000000000 73 {"format":1,"exchange":"X_SPOT","link":"X_SPOT/0","url":"wss://x.com/ws"}'
    assert second == b'S 1700000000000000001 18 {"op":"subscribe"}'
    assert printed.count(b'7 {"a":1}\n') == 3


def test_blocks_are_written_after_a_second_or_a_mebibyte(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path, "X", "X/0", "", START)
    writer.received(b"a", START + 1)
    assert writer.path is None
    writer.tick(START + SECOND)
    assert writer.path is not None
    size = writer.path.stat().st_size
    writer.received(b"b" * (BLOCK - 100), START + SECOND + 1)
    assert writer.path.stat().st_size == size
    writer.received(b"c" * 100, START + SECOND + 2)
    assert writer.path.stat().st_size > size


def test_an_attempt_that_came_to_nothing_leaves_no_file(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path / "raw", "X", "X/0", "", START)
    writer.close()
    assert not (tmp_path / "raw").exists()


def test_two_connections_of_one_link_never_share_a_file(tmp_path: Path) -> None:
    assert record(tmp_path) != record(tmp_path)


def test_a_directory_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        record(tmp_path / "file")


def test_a_file_of_a_later_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    writer = RawWriter(tmp_path, "X", "X/0", "", START)
    writer._pending = bytearray(writer._pending.replace(b'"format":1', b'"format":2'))
    writer.received(b"a", START)
    writer.close()
    assert writer.path is not None
    with pytest.raises(ConfigError, match=r"has format 2; this version reads format 1"):
        read(writer.path)


SECRET = "hUsH-123"
KEYS = ["client_secret", "signature", "access_token", "refresh_token", "sign", "apiKey", "passphrase", "listenKey"]


@pytest.mark.parametrize("key", KEYS)
def test_secrets_are_not_kept_in_whatever_way_they_pass(tmp_path: Path, key: str) -> None:
    pair = f'"{key}" : "{SECRET}"'
    writer = RawWriter(tmp_path, "X", "X/0", f"wss://user:{SECRET}@x.com/ws?{key}={SECRET}&streams=a", START)
    writer.sent(f'{{"method":"public/auth","params":{{"client_id":"me",{pair},"args":[{{{pair}}}]}}}}', START)
    writer.received(f'{{"result":{{{pair},"expires_in":900}}}}'.encode(), START + 1)
    writer.answered(f"https://x.com/a?b=1&{key}={SECRET}", 200, f"{{{pair}}}".encode(), {"Set-Cookie": SECRET}, START + 2)
    writer.close()
    assert writer.path is not None
    kept, _ = read(writer.path)
    assert SECRET not in repr(kept)
    assert Received(writer.path.name, f'{{"result":{{"{key}" : "***","expires_in":900}}}}'.encode(), START + 1) in kept
    assert kept[0] == Opened(writer.path.name, f"wss://***@x.com/ws?{key}=***&streams=a", START, "X")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("opening", ['"', "", '"\\\\\\"'])
def test_no_part_of_a_secret_is_kept_where_a_message_is_cut_inside_it(tmp_path: Path, key: str, opening: str) -> None:
    secret = "hUsH123456789"
    whole = f'{{"jsonrpc":"2.0","result":{{"{key}":{opening}{secret}","scope":"x"}}}}'
    writer = RawWriter(tmp_path, "X", "X/0", "", START)
    writer.sent(f'{{"client_secret":"{secret}"}}', START)
    for cut in range(whole.index(secret), len(whole) + 1):
        writer.received(whole[:cut].encode(), START + cut)
        writer.answered("https://x.com", 200, whole[:cut].encode(), {}, START + cut)
        writer.sent(whole[:cut], START + cut)
    writer.close()
    assert writer.path is not None
    kept, _ = read(writer.path)
    assert "hU" not in repr(kept)
    assert any(b'"scope":"x"' in event.payload for event in kept if isinstance(event, Received))


def test_only_the_owner_can_read_a_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = record(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_never_written_through_a_link_that_was_laid_in_its_way(tmp_path: Path) -> None:
    path = record(tmp_path / "raw")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert record(tmp_path / "raw") != path
    assert not (tmp_path / "elsewhere").exists()


def test_what_holds_no_secret_stays_byte_for_byte() -> None:
    text = b'{"stream":"a@trade","data":{"token_type":"bearer","e":"trade","p":"1.50","client_id":"me","signal":1},"sign":null}'
    assert redact.json_text(text) == text
    assert redact.url("wss://x.com/stream?streams=a@depth/b@trade") == "wss://x.com/stream?streams=a@depth/b@trade"
    assert redact.headers({"Date": "now", "Authorization": "x"}) == {"Date": "now", "Authorization": "***"}
