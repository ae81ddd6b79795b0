"""What a checkpoint knows already is left out by its content, and so is what belongs to the same recording."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.dataset import Dataset
from trainer.data.recording import Recording
from trainer.evaluation.content import BITS
from trainer.evaluation.heard import BY_NAME, CHOSEN, HEARD, RELATED, TESTED, TRAINED, Heard, heard_by, unheard, without

CONTENTS = np.random.default_rng(0).integers(0, 256, (40, BITS // 8), np.uint8)
NOTHING = CONTENTS[:0]


def dataset(*groups: str, part: str | None = None) -> Dataset:
    made = [Recording(Path(f"{index}.wav"), ("Bell",), group, part) for index, group in enumerate(groups)]
    return Dataset("d", made, ["Bell"])


@given(st.tuples(*[st.lists(st.integers(0, 39), max_size=5)] * 3))
def test_a_record_says_again_what_was_heard(parts: tuple[list[int], list[int], list[int]]) -> None:
    heard = Heard(*(CONTENTS[part] for part in parts))
    again = heard_by({HEARD: heard.plain()})
    assert again is not None
    for mine, theirs in zip(vars(heard).values(), vars(again).values(), strict=True):
        assert np.array_equal(mine, theirs)


def test_clips_are_left_out_with_the_reason_and_the_rest_of_their_recordings() -> None:
    data = dataset("a", "a", "b", "c", "d")
    heard = Heard(CONTENTS[[0, 10]], CONTENTS[[2, 0]], CONTENTS[[3]])
    kept = without(data, CONTENTS[:5], heard.before_testing)
    assert kept.indices == [3, 4]
    assert kept.left_out == {TRAINED: 1, CHOSEN: 1, RELATED: 1}
    assert str(kept) == f"3 of 5 clips left out, which it knows: 1 {TRAINED}, 1 {CHOSEN}, 1 {RELATED}"
    assert without(data, CONTENTS[:5], heard.before_choosing).left_out == {TRAINED: 1, TESTED: 1, RELATED: 1}
    assert str(without(data, CONTENTS[20:25], heard.before_testing)) == ""


def test_a_publishers_split_is_left_alone_apart_from_the_clips_themselves() -> None:
    kept = without(
        dataset("a", "a", "b", part="test"), CONTENTS[:3], Heard(CONTENTS[:1], NOTHING, NOTHING).before_testing
    )
    assert kept.indices == [1, 2]


def test_an_older_record_goes_by_names_where_the_data_are_the_same() -> None:
    data, record = dataset("a", "b", "c"), {"data": "d", "tested_on": ["b"]}
    kept = unheard(data, record)
    assert (kept.indices, kept.left_out) == ([1], {BY_NAME: 2})
    assert heard_by(record) is None
    for other, said in ((replace(data, name="e"), record), (data, {}), (data, {**record, "tested_on": ["z"]})):
        assert unheard(other, said).indices == [0, 1, 2]
        assert unheard(other, said).left_out == {}
