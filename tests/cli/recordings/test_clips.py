"""`asit-edge clips` as its users meet it."""

import json
import time
from pathlib import Path

import pytest
import yaml

from asit_edge.clips.encoding import encode
from asit_edge.clips.names import clip_name
from asit_edge.clips.shelf import Bounds, ClipShelf
from tests.cli.test_app import run
from tests.clips.parts import BEGAN, sound
from tests.clips.test_encoding import cut

FIRST, SECOND, THIRD = (
    sound(0x10, BEGAN, "Dog"),
    sound(0x20, BEGAN + 3_600, "Baby cry, infant cry"),
    sound(0x30, BEGAN + 7_200, "Dog", source="yard"),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    shelf = ClipShelf(tmp_path / "clips")
    for event in (FIRST, SECOND, THIRD):
        content = encode(cut(8_000), "flac", {"comment": event.id})
        shelf.put(clip_name(event, "flac"), content, Bounds(None, 1e9, 0))
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"clips": {"folder": str(tmp_path / "clips")}}))
    return file


def left(config: Path) -> list[str]:
    return [clip.event for clip in ClipShelf(config.parent / "clips").clips()]


def test_they_are_listed_newest_first_by_label_source_and_time(config: Path) -> None:
    listed = run("clips", "list", "--config", config).stdout.splitlines()
    assert [line.split()[:4] for line in listed] == [
        ["2026-05-01T05:00:00Z", "yard", "dog", "00000030"],
        ["2026-05-01T04:00:00Z", "mic", "baby_cry_infant_cry", "00000020"],
        ["2026-05-01T03:00:00Z", "mic", "dog", "00000010"],
    ]
    chosen = run("clips", "list", "-c", config, "--json", "--label", "Dog", "--source", "mic", "--since", "2026-01-01")
    [clip] = [json.loads(line) for line in chosen.stdout.splitlines()]
    assert clip["name"] == clip_name(FIRST, "flac")
    assert clip["begin"] == "2026-05-01T03:00:00Z"
    assert run("clips", "list", "-c", config, "--since", "2026-05-02").stdout == ""


def test_where_the_clip_of_an_event_is(config: Path) -> None:
    expected = f"{config.parent / 'clips' / clip_name(SECOND, 'flac')}\n"
    for name in (SECOND.id, SECOND.id[:8]):
        assert run("clips", "path", name, "-c", config).stdout == expected
    refused = run("clips", "path", "../../etc", "-c", config)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no clip of an event '../../etc'; asit-edge clips list shows those that there are" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ([FIRST.id, "00000030"], ["00000020"]),
        (["--label", "Baby cry, infant cry"], ["00000030", "00000010"]),
        (["--label", "Dog", "--source", "yard"], ["00000020", "00000010"]),
        (["--before", "2026-05-01T03:30:00Z"], ["00000030", "00000020"]),
        (["--all"], []),
    ],
)
def test_what_is_removed_is_said(config: Path, arguments: list[str], kept: list[str]) -> None:
    gone = 3 - len(kept)
    done = run("clips", "remove", *arguments, "-c", config)
    assert done.returncode == 0, done.stderr
    *names, total = done.stdout.splitlines()
    assert len(names) == gone
    assert total.startswith(f"{gone} clip(s) removed, ")
    assert left(config) == kept


@pytest.mark.parametrize("arguments", [[], ["--all", FIRST.id]])
def test_what_is_to_be_removed_has_to_be_said(config: Path, arguments: list[str]) -> None:
    refused = run("clips", "remove", *arguments, "-c", config)
    assert refused.returncode == 2
    assert "name events, or else say which clips" in refused.stderr
    assert len(left(config)) == 3
    unknown = run("clips", "remove", FIRST.id, "11111111", "-c", config)
    assert unknown.returncode == 2
    assert len(left(config)) == 3, "all or nothing"


def test_prune_removes_what_is_beyond_the_bounds(config: Path, tmp_path: Path) -> None:
    now = time.time()
    shelf = ClipShelf(tmp_path / "clips")
    shelf.put(clip_name(sound(0x40, now - 60), "flac"), b"x" * 1_000_000, Bounds(None, 1e9, 0))
    config.write_text(yaml.safe_dump({"clips": {"folder": str(tmp_path / "clips"), "max_days": None, "max_mb": 1.0}}))
    done = run("clips", "prune", "-c", config)
    assert done.stdout.splitlines()[-1].startswith("3 clip(s) removed")
    assert left(config) == ["00000040"]


def test_where_there_are_none_nothing_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"clips: {{folder: {tmp_path / 'absent'}}}")
    for arguments in (["list"], ["remove", "--all"], ["prune"]):
        done = run("clips", *arguments, "-c", tmp_path / "config.yaml")
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "absent").exists()
