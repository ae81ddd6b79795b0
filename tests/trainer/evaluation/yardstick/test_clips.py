"""Which clips are chosen, and what is counted of a model that does not know a label."""

from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.evaluation.yardstick.sounds import Ear
from trainer.data.left_out import original, split_left_out
from trainer.data.recording import Recording
from trainer.evaluation.yardstick import clips as module
from trainer.evaluation.yardstick.clips import FEWEST, LONGEST, MOST, choose_clips, clip_quality, columns_for

CLIPS = st.lists(
    st.tuples(st.sampled_from(["Dog", "Bark", "Bird", "Whistle"]), st.integers(0, 8), st.floats(0.0, 30.0)), max_size=80
)


def listed(rows: list[tuple[str, int, float]]) -> tuple[list[Recording], dict[Path, float]]:
    recordings = [
        Recording(Path(f"{number}.wav"), (label,), f"p/{label}{group}", name=f"p/c/{number}.wav")
        for number, (label, group, _) in enumerate(rows)
    ]
    return recordings, {Path(f"{number}.wav"): seconds for number, (_, _, seconds) in enumerate(rows)}


@given(CLIPS, st.integers(1, 60), st.randoms())
def test_few_of_each_label_and_each_recording_once_before_any_comes_twice(
    rows: list[tuple[str, int, float]], total: int, random: object
) -> None:
    recordings, seconds = listed(rows)
    with mock.patch.object(module, "length_of", lambda one: seconds[one.path]):
        chosen = choose_clips("c", recordings, ["Dog", "Bird"])
        random.shuffle(recordings)  # type: ignore[attr-defined]
        assert choose_clips("c", recordings, ["Dog", "Bird"]) == chosen, "names decide, not their order"
        fewer = choose_clips("c", recordings, ["Dog", "Bird"], total)
        short = choose_clips("c", recordings, ["Dog", "Bird"], longer=False)
    assert set(chosen.categories) <= {"Dog", "Bark", "Bird"}, "a bark is a kind of dog, a whistle is of neither"
    audible = [one for one in recordings if seconds[one.path] >= module.SHORTEST]
    for label in chosen.categories:
        own = [one for one in chosen.recordings if one.label == label]
        there = [one for one in audible if one.label == label]
        assert len(own) == min(len(there), MOST)
        assert len(own) >= FEWEST
        taken, available = Counter(map(original, own)), Counter(map(original, there))
        assert len(taken) == min(len(available), MOST)
        assert all(taken[group] >= min(available[group], max(taken.values()) - 1) for group in available)
    assert all((one.seconds or seconds[one.path]) <= LONGEST + 0.05 for one in chosen.recordings)
    assert len(fewer.recordings) <= max(total, len(fewer.categories))
    assert all(one.seconds is None for one in short.recordings)


def test_of_a_long_recording_the_middle_is_heard(recordings: list[Recording]) -> None:
    _, left_out = split_left_out(recordings)
    chosen = choose_clips("c", left_out, ["Dog"])
    long = next(one for one in chosen.recordings if one.path.name == "dogs.wav")
    assert (long.start, long.seconds) == (1.0, 10.0)


def test_a_label_that_a_model_lacks_is_never_right(recordings: list[Recording]) -> None:
    _, left_out = split_left_out(recordings)
    clips = choose_clips("c", left_out, ["Dog", "Doorbell"], longer=False)
    assert clips.categories == ["Bark", "Dog", "Doorbell"]
    whole = clip_quality(Ear("Dog", "Bark", "Doorbell", "Whistle"), clips)
    assert whole["top1"]["value"] == 1.0
    assert whole["map"]["value"] == 1.0
    assert (whole["clips"], whole["labels"], whole["unknown"]) == (12, 3, [])
    lacking = clip_quality(Ear("Doorbell", "Dog"), clips)
    assert lacking["unknown"] == ["Bark"]
    assert lacking["top1"]["value"] == pytest.approx(2 / 3)
    assert lacking["by_label"]["Bark"]["right"] == 0
    assert lacking["by_label"]["Bark"]["ap"] == pytest.approx(1 / 3), "what no score tells apart is in no order"


def test_columns_go_by_name() -> None:
    scores = np.float32([[0.1, 0.2]])
    assert columns_for(scores, Ear("Dog", "Bark"), ["Bark", "Bird", "Dog"], -1).tolist() == [
        pytest.approx([0.2, -1, 0.1])
    ]
