"""One class's sounds: exactly at the thresholds, at the ends of durations, and when each is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.hysteresis import ClassSettings, Hysteresis

STEP = 10


def heard(scores: list[float], **settings: int) -> list[tuple[str, int, int]]:
    """What counts as begun (onset) and over (offset), and at the end of which audio that is known. On 0.5, off 0.25."""
    sounds = Hysteresis(0, ClassSettings(0.5, 0.25, **settings))
    found = []
    for start, score in zip(range(0, len(scores) * STEP, STEP), scores, strict=True):
        end = start + STEP
        if (offset := sounds.over(start, end, score)) is not None:
            found.append(("over", offset, end))
        if sounds.step(start, end, score):
            assert sounds.onset is not None
            found.append(("begun", sounds.onset, end))
    return found


def test_a_threshold_is_reached_by_the_score_that_is_equal_to_it() -> None:
    assert heard([0.5, 0.25, 0.2]) == [("begun", 0, 10), ("over", 20, 30)]
    assert heard([0.49, 0.26]) == []


def test_equal_to_on_is_enough_to_resume_and_equal_to_off_is_not() -> None:
    assert heard([0.9, 0.1, 0.5, 0.1, 0.1], merge_gap=STEP) == [("begun", 0, 10), ("over", 30, 50)]
    assert heard([0.9, 0.1, 0.25, 0.25, 0.9], merge_gap=STEP) == [("begun", 0, 10), ("over", 10, 30), ("begun", 40, 50)]


def test_it_is_over_with_the_first_audio_that_is_too_long_a_pause() -> None:
    assert heard([0.9, 0.1]) == [("begun", 0, 10), ("over", 10, 20)]
    assert heard([0.9, 0.1, 0.1, 0.1], merge_gap=2 * STEP) == [("begun", 0, 10), ("over", 10, 40)]
    assert heard([0.9, 0.1, 0.1, 0.1], merge_gap=2 * STEP - 1) == [("begun", 0, 10), ("over", 10, 30)]


def test_what_did_not_count_is_never_over_and_keeps_nothing_back() -> None:
    assert heard([0.9, 0.1, 0.9, 0.9], min_duration=2 * STEP, cooldown=5 * STEP) == [("begun", 20, 40)]


def test_a_sound_counts_when_it_has_lasted_exactly_long_enough() -> None:
    assert heard([0.9, 0.9], min_duration=2 * STEP) == [("begun", 0, 20)]
    assert heard([0.9, 0.9], min_duration=2 * STEP + 1) == []
    sounds = Hysteresis(0, ClassSettings(0.5, 0.25))
    assert sounds.step(0, 1, 0.9), "one sample is long enough where nothing else is said"


def test_after_a_cooldown_the_next_may_begin_at_once() -> None:
    assert heard([0.9, 0.1, 0.1, 0.9], cooldown=2 * STEP)[-1] == ("begun", 30, 40)
    assert heard([0.9, 0.1, 0.1, 0.9], cooldown=2 * STEP + 1)[-1] == ("over", 10, 20)


def test_the_peak_is_the_sounds_own() -> None:
    sounds = Hysteresis(0, ClassSettings(0.5, 0.25))
    for start, score in ((0, 0.9), (10, 0.95), (20, 0.3)):
        sounds.step(start, start + 10, score)
    assert sounds.peak == 0.95
    assert sounds.finish(30) == 30
    sounds.step(30, 40, 0.6)
    assert sounds.peak == 0.6


def test_it_stops_where_the_audio_stops_and_never_before_it_began() -> None:
    for position, offset in ((25, 25), (30, 30), (99, 30), (15, 20)):
        sounds = Hysteresis(0, ClassSettings(0.5, 0.25))
        assert sounds.finish(position) is None
        sounds.step(20, 30, 0.9)
        assert sounds.finish(position) == offset
        assert sounds.finish(position) is None


def test_settings() -> None:
    assert ClassSettings(0.5, 0.25) == ClassSettings(0.5, 0.25, 0, 0, 0, 0, 0)
    assert ClassSettings(1.0, 1.0).on == 1
    assert Hysteresis(7, ClassSettings(0.5, 0.25)).label == 7
    for durations in range(5):
        with pytest.raises(ValueError, match="durations must not be negative"):
            ClassSettings(0.5, 0.25, *[0] * durations, -1)
    for on, off in ((1.1, 0.5), (0.5, 0.6), (0.5, 0.0), (0.5, -0.1)):
        with pytest.raises(ValueError, match="thresholds must be"):
            ClassSettings(on, off)


@given(
    st.lists(st.sampled_from([0.0, 0.2, 0.25, 0.4, 0.5, 0.9]), max_size=40),
    *[st.integers(0, 4).map(lambda steps: steps * STEP)] * 3,
)
def test_the_rules_in_words(scores: list[float], shortest: int, merge: int, cooldown: int) -> None:
    """The same, told without a state machine: stretches, then those that are close enough, then those that count."""
    stretches: list[list[int]] = []
    blocked = 0
    for start, score in zip(range(0, len(scores) * STEP, STEP), scores, strict=True):
        goes_on = bool(stretches) and stretches[-1][1] == start and score >= 0.25
        near = bool(stretches) and start - stretches[-1][1] <= merge
        if goes_on or (score >= 0.5 and near):
            stretches[-1][1] = start + STEP
        elif score >= 0.5:
            last = stretches[-1] if stretches else [0, 0]
            if stretches and last[1] - last[0] >= max(shortest, 1):
                blocked = last[1] + cooldown
            if start >= blocked:
                stretches.append([start, start + STEP])
    counted = [tuple(one) for one in stretches if one[1] - one[0] >= max(shortest, 1)]
    found = heard([*scores, *[0.0] * 6], min_duration=shortest, merge_gap=merge, cooldown=cooldown)
    assert [at for what, at, _ in found if what == "begun"] == [onset for onset, _ in counted]
    assert [at for what, at, _ in found if what == "over"] == [offset for _, offset in counted]
