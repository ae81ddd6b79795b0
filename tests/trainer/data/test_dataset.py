"""Splitting by group."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset, split_by_group, with_sound
from trainer.data.recording import Recording


def clip(group: str | None, *categories: str) -> Recording:
    return Recording(Path("x.wav"), categories, group)


CLIPS = st.lists(st.tuples(st.integers(0, 12), st.sets(st.sampled_from("ABC"), max_size=2)), min_size=1, max_size=60)


@given(CLIPS, st.floats(0.05, 0.5), st.integers(0, 5))
def test_no_recording_is_on_both_sides_and_no_class_is_lost_to_training(
    rows: list[tuple[int, set[str]]], share: float, seed: int
) -> None:
    clips = [clip(str(group), *sorted(categories)) for group, categories in rows]
    dataset = Dataset("d", clips, ["A", "B", "C"])
    rest, held = split_by_group(dataset, share, seed)
    assert sorted(rest + held) == list(range(len(clips)))
    assert not {clips[index].group for index in rest} & {clips[index].group for index in held}
    everywhere = {category for one in clips for category in one.labels}
    assert {category for index in rest for category in clips[index].labels} == everywhere


def test_each_class_gives_about_its_share() -> None:
    clips = [clip(f"{category}{group}", category) for category in "AB" for group in range(50) for _ in range(3)]
    _, held = split_by_group(Dataset("d", clips, ["A", "B"]), 0.2, 0)
    for category in "AB":
        assert 24 <= sum(clips[index].labels == (category,) for index in held) <= 36


def test_negatives_are_split_too() -> None:
    clips = [clip(f"n{group}") for group in range(20)] + [clip(f"a{group}", "A") for group in range(20)]
    _, held = split_by_group(Dataset("d", clips, ["A"]), 0.2, 0)
    assert 2 <= sum(not clips[index].labels for index in held) <= 6


def test_unknown_recordings_are_refused_unless_forced() -> None:
    dataset = Dataset("sounds", [clip(None, "A") for _ in range(10)], ["A"])
    with pytest.raises(
        WrongUse, match=r"sounds: which files come from the same recording is not known.*--split-by-file"
    ):
        split_by_group(dataset, 0.2, 0)
    single = [Recording(Path(f"{index}.wav"), ("A",)) for index in range(10)]
    rest, held = split_by_group(Dataset("sounds", single, ["A"]), 0.2, 0, force=True)
    assert (len(rest), len(held)) == (8, 2)


def test_what_cannot_be_heard_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recordings = []
    for name, seconds in (("long", 1.0), ("empty", 0.0), ("tiny", 0.005)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(round(seconds * 16_000), np.float32), 16_000)
        recordings.append(Recording(tmp_path / f"{name}.wav", ("Bell",)))
    unreadable = Recording(tmp_path / "damaged.wav", ("Bell",))
    unreadable.path.write_bytes(b"RIFF")
    left = with_sound(Dataset("data", [*recordings, unreadable], ["Bell"]))
    assert [one.path.name for one in left.recordings] == ["long.wav", "damaged.wav"], "damage is named when it is read"
    said = capsys.readouterr().err
    assert "empty.wav: left out, it has 0.000 s of audio" in said
    assert "tiny.wav: left out, it has 0.005 s of audio" in said
    with pytest.raises(WrongUse, match=r"every recording of 'Bell' is empty"):
        with_sound(Dataset("data", recordings[1:], ["Bell"]))
