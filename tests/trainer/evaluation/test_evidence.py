"""Too few recordings are said, class by class, with what they can show."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.dataset import Dataset
from trainer.data.recording import Recording
from trainer.evaluation.evidence import (
    FEW,
    NEGATIVES,
    Evidence,
    evidence,
    least_share,
    listing,
    single_recordings,
    too_little,
    warnings,
    weak_thresholds,
)


def dataset(*clips: tuple[str, str]) -> Dataset:
    """Clips as (label, group); no label makes a negative."""
    made = [
        Recording(Path(f"{index}.wav"), (label,) if label else (), group) for index, (label, group) in enumerate(clips)
    ]
    return Dataset("d", made, ["Bell", "Glass", "Kettle"])


@given(st.integers(1, 10_000))
def test_the_interval_is_where_so_many_right_ones_become_improbable(recordings: int) -> None:
    """Clopper and Pearson: all of n are right with a chance of 2.5 % if the true share is the interval's lower end."""
    assert least_share(recordings) ** recordings == pytest.approx(0.025)
    assert least_share(recordings) < least_share(recordings + 1) < 1


def test_ten_recordings_that_are_all_right_may_be_69_percent() -> None:
    assert least_share(FEW) == pytest.approx(0.69, abs=0.005)
    assert least_share(0) == 0


def test_clips_of_one_recording_count_once() -> None:
    found = evidence(dataset(("Bell", "a"), ("Bell", "a"), ("Bell", "b"), ("", "c"), ("Glass", "d")))
    assert found == [
        Evidence("Bell", 2, 3),
        Evidence("Glass", 1, 1),
        Evidence("Kettle", 0, 0),
        Evidence(NEGATIVES, 1, 1),
    ]
    assert str(found[0]) == "Bell: 2 recordings (3 clips), 16 to 100 %"


def test_a_tiny_part_is_said_by_class_with_intervals() -> None:
    enough = [("Kettle", f"k{index}") for index in range(FEW)]
    lines = warnings("test", evidence(dataset(*enough, ("Bell", "a"), ("Bell", "b"))), "its figures rest on them")
    assert lines[0].startswith(f"test is tiny: 2 of 3 classes have fewer than {FEW} recordings")
    assert lines[1:3] == ["  Glass: none, nothing is known", "  Bell: 2 recordings, 16 to 100 %"]
    assert "Kettle" not in "".join(lines)
    assert warnings("test", evidence(dataset(*enough).choose([])), "") != []
    plenty = [(label, f"{label}{index}") for label in ("Bell", "Glass", "Kettle") for index in range(FEW)]
    assert warnings("test", evidence(dataset(*plenty)), "") == []


def test_of_many_classes_the_poorest_are_named() -> None:
    found = [Evidence(f"class{index}", index % 9, 9) for index in range(50)]
    lines = warnings("test", found, "")
    assert len(lines) == 1 + 12 + 1 + 1
    assert lines[13] == "  and 38 more"
    assert [one.recordings for one in too_little(found)] == sorted(one.recordings for one in found)


def test_classes_with_one_recording_are_named() -> None:
    (line,) = single_recordings(dataset(("Bell", "a"), ("Bell", "a"), ("Glass", "b"), ("Glass", "c"), ("Kettle", "d")))
    assert line.startswith("one recording only: Bell, Kettle;")
    assert single_recordings(dataset(("Glass", "b"), ("Glass", "c"))) == []
    assert listing([str(number) for number in range(14)]).endswith("10, 11 and 2 more")


def test_thresholds_that_rest_on_little_are_named_with_their_number() -> None:
    found = [Evidence("Bell", 1, 3), Evidence("Glass", 0, 0), Evidence("Kettle", FEW, FEW), Evidence(NEGATIVES, 1, 1)]
    (line,) = weak_thresholds({"Bell": [0.42, 0.25], "Kettle": [0.3, 0.2]}, found, 0.5)
    assert line.endswith(": Glass 0.5 (0 recordings, the default), Bell 0.42 (1 recording)")
    assert weak_thresholds({"Kettle": [0.3, 0.2]}, found[2:], 0.5) == []
