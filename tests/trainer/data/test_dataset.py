"""Splitting by recording, and reading parts of files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.dataset import Clip, Dataset, load_clip, split_by_group


def clip(group: str | None, *categories: str) -> Clip:
    return Clip(Path("x.wav"), categories, group)


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
    everywhere = {category for one in clips for category in one.categories}
    assert {category for index in rest for category in clips[index].categories} == everywhere


def test_each_class_gives_about_its_share() -> None:
    clips = [clip(f"{category}{group}", category) for category in "AB" for group in range(50) for _ in range(3)]
    _, held = split_by_group(Dataset("d", clips, ["A", "B"]), 0.2, 0)
    for category in "AB":
        assert 24 <= sum(clips[index].categories == (category,) for index in held) <= 36


def test_negatives_are_split_too() -> None:
    clips = [clip(f"n{group}") for group in range(20)] + [clip(f"a{group}", "A") for group in range(20)]
    _, held = split_by_group(Dataset("d", clips, ["A"]), 0.2, 0)
    assert 2 <= sum(not clips[index].categories for index in held) <= 6


def test_unknown_recordings_are_refused_unless_forced() -> None:
    dataset = Dataset("sounds", [clip(None, "A") for _ in range(10)], ["A"])
    with pytest.raises(
        WrongUse, match=r"sounds: which files come from the same recording is not known.*--split-by-file"
    ):
        split_by_group(dataset, 0.2, 0)
    single = [Clip(Path(f"{index}.wav"), ("A",)) for index in range(10)]
    rest, held = split_by_group(Dataset("sounds", single, ["A"]), 0.2, 0, force=True)
    assert (len(rest), len(held)) == (8, 2)


def test_a_part_of_a_file_is_read_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.repeat(np.arange(10) / 20, 8_000), 8_000)
    samples = load_clip(tmp_path / "a.wav", 16_000, start=3.0, seconds=2.0)
    assert len(samples) == 32_000
    assert samples[8_000] == pytest.approx(0.15, abs=1e-3)
    assert samples[24_000] == pytest.approx(0.20, abs=1e-3)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    with pytest.raises(AsitEdgeError, match=r"b\.wav: cannot be read as audio"):
        load_clip(tmp_path / "b.wav", 16_000)
