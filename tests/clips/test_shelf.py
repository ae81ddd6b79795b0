"""The shelf: bounds, oldest first; clips found by event; nothing else seen, touched or reached."""

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.clips.encoding import encode
from asit_edge.clips.names import clip_name
from asit_edge.clips.shelf import Bounds, ClipShelf, NoRoom
from tests.clips.parts import BEGAN, sound
from tests.clips.test_encoding import cut

PLENTY = Bounds(None, 1e12, 0)
DAY = 86_400.0


def shelf_of(folder: Path, sizes: list[int], apart: float = 60.0) -> ClipShelf:
    """Clips of such sizes, the oldest first."""
    shelf = ClipShelf(folder)
    for number, size in enumerate(sizes):
        shelf.put(clip_name(sound(number, BEGAN + number * apart), "flac"), b"x" * size, PLENTY)
    return shelf


def test_clips_are_listed_newest_first_with_what_their_names_say(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [10, 20, 30], apart=DAY)
    assert [(clip.event, clip.size) for clip in shelf.clips()] == [("00000002", 30), ("00000001", 20), ("00000000", 10)]
    assert next(shelf.names()) == "2026-05-03/mic/030000Z_dog_00000002.flac"
    assert ClipShelf(tmp_path / "absent").clips() == []


def test_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        shelf_of(tmp_path / "clips", [10])
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "clips").rglob("*")}
    assert modes == {True: 0o700, False: 0o600}


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0, 20 * DAY)), max_size=12),
    st.none() | st.floats(0.01, 15),
    st.integers(1, 3_000),
    st.integers(0, 400),
)
def test_the_oldest_go_until_all_bounds_are_kept_and_no_more(
    clips: list[tuple[int, float]], days: float | None, most: int, room: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = ClipShelf(Path(folder))
        for number, (size, age) in enumerate(clips):
            shelf.put(clip_name(sound(number, BEGAN - age), "flac"), b"x" * size, PLENTY)
        before = shelf.clips()
        gone = shelf.prune(Bounds(days, most, 0), BEGAN, room)
        left = shelf.clips()
    assert [*left, *reversed(gone)] == before, "the oldest go, and all others stay"
    assert sum(clip.size for clip in left) + room <= most or not left
    assert all(days is None or BEGAN - clip.begin <= days * DAY for clip in left)
    if gone:
        newest = gone[-1]
        old = days is not None and BEGAN - newest.begin > days * DAY
        assert old or sum(clip.size for clip in [newest, *left]) + room > most, "it had to go"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_what_is_to_stay_free_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = shelf_of(tmp_path, [100] * 5)
    disk = 1_000

    def usage(_: object) -> Usage:
        used = sum(file.stat().st_size for file in tmp_path.rglob("*.flac"))
        return Usage(disk, used, disk - used)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    gone = shelf.put(clip_name(sound(9, BEGAN + 999), "flac"), b"x" * 50, Bounds(None, 1e9, 700))
    assert [clip.event for clip in gone] == ["00000000", "00000001", "00000002"]
    assert usage(None).free >= 700
    disk = 500  # others have filled it: no clip could make that good, so none goes
    before = shelf.clips()
    with pytest.raises(NoRoom):
        shelf.put(clip_name(sound(10, BEGAN + 1_000), "flac"), b"x" * 50, Bounds(None, 1e9, 700))
    assert shelf.clips() == before


def test_a_clip_larger_than_all_may_be_drives_no_other_out(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [10, 10])
    with pytest.raises(NoRoom):
        shelf.put(clip_name(sound(9), "flac"), b"x" * 101, Bounds(None, 100, 0))
    assert len(shelf.clips()) == 2


def test_a_clip_is_found_by_its_event_and_by_no_other_of_the_same_first_digits(tmp_path: Path) -> None:
    shelf = ClipShelf(tmp_path)
    event = sound(0xABCDEF01)
    twin = event.model_copy(update={"id": event.id[:-1] + "c", "onset_epoch": BEGAN + 5})
    for one in (event, twin):
        shelf.put(clip_name(one, "flac"), encode(cut(8_000), "flac", {"comment": one.id}), PLENTY)
    assert shelf.find(event.id) == tmp_path / clip_name(event, "flac")
    assert shelf.find(twin.id) == tmp_path / clip_name(twin, "flac")
    assert shelf.find(event.id[:-1] + "d") is None
    assert len(shelf.of("abcdef01")) == 2
    for strange in ("", "*", "abcdef0", "../abcdef01", "abcdef01\n", "abcdef01-5c6d", "[a-f]bcdef01"):
        assert shelf.find(strange) is None


def test_no_name_leads_outside_and_no_link_is_followed(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path / "clips", [10])
    [name] = shelf.names()
    assert shelf.at(name) == tmp_path / "clips" / name
    (tmp_path / "secret").write_text("secret")
    day = tmp_path / "clips" / "2026-05-01"
    (day / "mic" / "040000Z_dog_00000009.flac").symlink_to(tmp_path / "secret")
    (day / "yard").symlink_to(day / "mic")
    (tmp_path / "clips" / "2026-05-02").symlink_to(day)
    for strange in (
        "../secret",
        "/etc/passwd",
        f"{name}/../../../../secret",
        "2026-05-01/mic/040000Z_dog_00000009.flac",
        name.replace("mic", "yard"),
        name.replace("05-01", "05-02"),
        name.replace("030000", "030001"),
    ):
        assert shelf.at(strange) is None, strange
    assert list(shelf.names()) == [name]
    with pytest.raises(ValueError, match="is no clip's name"):
        shelf.put("../secret", b"x", PLENTY)
    assert len(shelf.prune(Bounds(None, 1, 0))) == 1
    assert (tmp_path / "secret").read_text() == "secret"


def test_what_is_no_clip_is_neither_shown_nor_removed_and_leftovers_go(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [10])
    source = tmp_path / "2026-05-01" / "mic"
    others = [tmp_path / "notes.txt", source / "my favourite.flac", source / ".hidden", tmp_path / "2026-05-01" / "x"]
    for other in others:
        other.write_text("mine")
    left_over = source / ".030000Z_dog_00000007.flac.x8_kqz1a"
    left_over.write_bytes(b"half")
    assert shelf.sweep() == 1
    assert not left_over.exists()
    assert len(shelf.prune(Bounds(0.001, 1, 0), time.time())) == 1
    assert all(other.read_text() == "mine" for other in others)


def test_folders_that_are_empty_go_with_their_last_clip(tmp_path: Path) -> None:
    shelf = shelf_of(tmp_path, [10, 10], apart=DAY)
    newest, oldest = shelf.clips()
    assert shelf.remove(oldest)
    assert not shelf.remove(oldest)
    assert [path.name for path in tmp_path.iterdir()] == ["2026-05-02"]
    assert shelf.remove(newest)
    assert list(tmp_path.iterdir()) == []
