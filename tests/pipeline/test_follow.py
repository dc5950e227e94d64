"""Following a journal that grows: groups that are whole, damage told once, no frame handed out twice."""

from __future__ import annotations

import os
from pathlib import Path

from tests.look.journals import INSTRUMENT, KEY, NOW, deltas, scribe, snapshot, spoil
from xtrader.model.market import Coverage
from xtrader.pipeline import codec
from xtrader.pipeline.follow import Follower, find, instruments, newest, tracks
from xtrader.pipeline.frames import Damaged, segments


def test_damage_is_told_once_though_the_group_after_it_is_still_being_written(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        follower = Follower(tmp_path, newest(tmp_path) or 0)
        assert len(list(follower.groups())) == 2
        first = writer.journal.end
        writer.write(snapshot())
        writer.write(Coverage(KEY, "L2", "live", "start", NOW, None), *deltas(3))
        segment = segments(tmp_path)[-1]
        text = segment.path.read_bytes()
        spoil(tmp_path, first)
        os.truncate(segment.path, len(text) - 8)
        assert [type(one) for one in follower.groups()] == [Damaged]
        assert list(follower.groups()) == []
        with segment.path.open("ab") as file:
            file.write(text[-8:])
        (group,) = follower.groups()
        assert isinstance(group, list)
        assert [payload.kind for payload in group] == [codec.COVERAGE, codec.L2]


def test_a_journal_is_read_on_until_the_instrument_is_known_and_what_was_read_is_handed_out_all_the_same(tmp_path: Path) -> None:
    with scribe(tmp_path) as writer:
        writer.write(INSTRUMENT, snapshot())
        writer.write(*deltas(3))
        (track,) = tracks(tmp_path)
        assert find([track], lambda known: known[0].key if known else None) == KEY
        assert track.state.alive == NOW + 10**8
        assert instruments([track]) == [INSTRUMENT]
        kinds = [payload.kind for payload in track.payloads() if not isinstance(payload, Damaged)]
        assert kinds == [codec.META, codec.META, codec.INSTRUMENTS, codec.L2, codec.L2]
        assert list(track.payloads()) == []
        assert find([track], lambda known: None) is None
