"""The keeper: what a disk that fails costs, what is said of it, and that a killed one leaves nothing half."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asit_edge.clips import keeper
from asit_edge.clips.keeper import MOST_WAITING, Keeper
from asit_edge.clips.names import clip_name
from asit_edge.clips.shelf import ClipShelf
from asit_edge.config.clips import Clips
from asit_edge.messages.report import ClipReport
from tests.clips.parts import BEGAN, sound
from tests.clips.test_encoding import cut
from tests.conftest import ROOT
from tests.integration.mosquitto import wait_for

Make = Callable[..., Keeper]


@pytest.fixture
def told() -> list[ClipReport]:
    return []


@pytest.fixture
def keep(tmp_path: Path, told: list[ClipReport]) -> Iterator[Make]:
    made: list[Keeper] = []

    def make(**settings: Any) -> Keeper:
        folder = str(settings.pop("folder", tmp_path / "clips"))
        made.append(Keeper(Clips(enabled=True, folder=Path(folder), **{"min_free_mb": 0, **settings}), told.append))
        return made[-1]

    yield make
    for one in made:
        one.stop(10)


def test_a_folder_that_is_deleted_is_made_again(keep: Make, told: list[ClipReport], tmp_path: Path) -> None:
    writer = keep()
    for number in range(3):
        writer.keep(sound(number), cut(8_000))
        wait_for(lambda count=number + 1: len(told) == count, 10, "it is written")
        subprocess.run(["rm", "-r", tmp_path / "clips"], check=True)
    assert [report.kept for report in told] == [True] * 3
    assert writer.problem is None


def test_what_the_disk_does_not_take_is_said_once_and_goes_on_when_it_does(
    keep: Make, told: list[ClipReport], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clips").write_text("not a folder")
    writer = keep()
    with caplog.at_level(logging.INFO):
        for number in range(3):
            writer.keep(sound(number), cut(8_000))
        wait_for(lambda: len(told) == 3, 10, "all are refused")
        said = f"clips: {tmp_path / 'clips'} cannot be written (Not a directory)"
        assert writer.problem == said
        assert [report.reason for report in told] == ["disk"] * 3
        (tmp_path / "clips").unlink()
        writer.keep(sound(3), cut(8_000))
        wait_for(lambda: len(told) == 4, 10, "it is written")
    assert writer.problem is None
    assert told[-1].kept
    assert not [line for line in caplog.messages if "no clip of" in line]
    assert caplog.messages.count(f"{said}; listening goes on, without clips until that is better") == 1
    assert f"clips: {tmp_path / 'clips'} takes them again" in caplog.messages


def test_where_there_is_no_room_that_is_said_with_the_keys(keep: Make, told: list[ClipReport], tmp_path: Path) -> None:
    writer = keep(min_free_mb=1e9)
    writer.keep(sound(0), cut(8_000))
    wait_for(lambda: told, 10, "it is refused")
    assert told[0].reason == "disk"
    assert writer.problem is not None
    assert "within clips.max_mb (1000) and clips.min_free_mb (1e+09); make room on its disk" in writer.problem
    assert not (tmp_path / "clips").exists()


def test_a_disk_that_hangs_holds_nobody_up(
    keep: Make, told: list[ClipReport], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr("os.fsync", lambda _: goes_on.wait(30))
    writer = keep()
    began = time.monotonic()
    for number in range(MOST_WAITING + 4):
        writer.keep(sound(number), cut(8_000))
    assert time.monotonic() - began < 1
    wait_for(lambda: told, 10, "what does not fit is refused")
    assert {report.reason for report in told} == {"disk"}
    assert "clips: the disk of the clips hangs; 8 wait, what more comes is dropped there" in caplog.messages
    goes_on.set()
    wait_for(lambda: len(told) == MOST_WAITING + 4, 10, "the others are written")
    assert sum(report.kept for report in told) >= MOST_WAITING


def test_what_is_too_old_goes_unless_the_clock_has_just_jumped(
    keep: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, writer = ClipShelf(tmp_path / "clips"), keep(max_days=10)
    wall = [BEGAN + 86_400]
    monkeypatch.setattr(keeper.time, "time", lambda: wall[0])
    writer.keep(sound(0), cut(8_000))

    def tidied() -> list[str]:
        writer.tidy()
        wait_for(lambda: not writer._writing.waiting, 10, "it is done")
        return [clip.event for clip in shelf.clips()]

    assert tidied() == ["00000000"]
    wall[0] += 400 * 86_400
    assert tidied() == ["00000000"], "the clock has just jumped by a year"
    wall[0] -= 400 * 86_400
    assert tidied() == ["00000000"], "and back"
    wall[0] += 11 * 86_400
    assert tidied() == ["00000000"]
    assert tidied() == [], "and it stays so"


def test_old_clips_go_though_nothing_is_heard(
    keep: Make, told: list[ClipReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "TIDY_EVERY", 0.05)
    writer = keep(max_days=10)
    writer.keep(sound(0, time.time() - 11 * 86_400), cut(8_000))
    writer.keep(sound(1, time.time() - 9 * 86_400), cut(8_000))
    wait_for(lambda: len(told) == 2, 10, "both are written")
    writer.start()
    left = wait_for(lambda: [one for one in [ClipShelf(tmp_path / "clips").clips()] if len(one) == 1], 10, "one goes")
    assert left[0][0].event == "00000001"


def test_beyond_the_bound_the_oldest_are_gone(keep: Make, told: list[ClipReport], tmp_path: Path) -> None:
    writer = keep(max_mb=1)
    noise = cut(48_000, 30)
    for number in range(4):
        writer.keep(sound(number, BEGAN + number), noise)
    wait_for(lambda: len(told) == 4, 20, "all are written")
    clips = ClipShelf(tmp_path / "clips").clips()
    assert sum(clip.size for clip in clips) <= 1e6
    assert clips[0].event == "00000003"
    assert len(clips) < 4


WRITER = """
import os, sys, time
from pathlib import Path
from asit_edge.clips.keeper import Keeper
from asit_edge.config.clips import Clips
from tests.clips.parts import sound
from tests.clips.test_encoding import cut
def hangs(file):
    print("writing", flush=True)
    time.sleep(60)
if sys.argv[2] == "hang":
    os.fsync = hangs
settings = Clips(enabled=True, folder=Path(sys.argv[1]), min_free_mb=0)
keeper = Keeper(settings, lambda report: print(report.path, flush=True))
keeper.start()
number = 0
while True:
    keeper.keep(sound(number), cut(16_000, 10))
    number += 1
    time.sleep(0.01)
"""


def writing(folder: Path, how: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITER, folder, how]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_while_it_writes_it_leaves_no_part_under_a_clips_name(keep: Make, tmp_path: Path) -> None:
    process = writing(tmp_path / "clips", "hang")
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.communicate()
    [left_over] = [file for file in (tmp_path / "clips").rglob("*") if file.is_file()]
    assert left_over.name.startswith(f".{clip_name(sound(0), 'flac').rpartition('/')[2]}.")
    assert ClipShelf(tmp_path / "clips").clips() == []
    keep().start()
    wait_for(lambda: not left_over.exists(), 10, "the next start removes it")


def test_killed_at_any_moment_what_has_a_name_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for moment in (0.03, 0.11):
        process = writing(folder, "go")
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moment)
        process.kill()
        process.communicate()
    clips = ClipShelf(folder).clips()
    assert clips
    for clip in clips:
        samples, rate = soundfile.read(folder / clip.name)
        assert len(samples) == 10 * rate


def test_a_report_says_nothing_that_is_not_so(keep: Make, told: list[ClipReport]) -> None:
    writer = keep(base_url="http://hall.local/clips")
    writer.refuse(sound(0), "late")
    writer.keep(sound(1), cut(8_000))
    wait_for(lambda: len(told) == 2, 10, "both are told")
    refused, written = told
    assert (refused.kept, refused.path, refused.url, refused.seconds, refused.reason) == (
        False,
        None,
        None,
        None,
        "late",
    )
    assert written.url == f"http://hall.local/clips/{written.path}"
    assert (written.kept, written.seconds, written.reason) == (True, 1.5, "")
    assert os.sep in str(written.path)
