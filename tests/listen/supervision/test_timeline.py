"""One axis of samples for all captures of a source, and what lies between them."""

import pytest

from asit_edge.audio.clock import BELIEVED_AFTER
from asit_edge.listen.supervision.timeline import ABSENT, DRIFT, SLEPT, Gap, Timeline

RATE = 16_000
WALL = 1_800_000_000.0


def begun(begin: float = 100.0, born: float = 100.0) -> Timeline:
    timeline = Timeline(RATE, born, 0.0)
    timeline.place(begin, WALL, live=True, muted=False)
    return timeline


def test_the_first_capture_anchors_the_axis() -> None:
    timeline = begun(100.5)
    assert timeline.clock is not None
    assert timeline.clock.anchor == WALL + 100.5
    assert timeline.gap == Gap(0, "absent")
    assert timeline.position_of(RATE, RATE) == RATE
    assert timeline.position_of(48_000, 48_000) == RATE, "positions are at the model's rate"
    assert timeline.epoch_at(101.5, wall=0.0) == WALL + 101.5, "steps of the system clock do not move it"


def test_a_source_that_was_long_in_coming_was_missed() -> None:
    timeline = begun(begin=100.0 + 2 * ABSENT, born=100.0)
    assert timeline.position_of(0, RATE) == 2 * ABSENT * RATE


def test_before_the_first_sample_time_is_the_systems() -> None:
    timeline = Timeline(RATE, 0.0, 0.0)
    assert timeline.clock is None
    assert timeline.epoch_at(5.0, wall=WALL) == WALL


def test_the_next_capture_lies_behind_what_was_missed() -> None:
    timeline = begun()
    timeline.resume()
    timeline.interrupt(2 * RATE, "lost", asleep=0.0)
    timeline.place(110.0, WALL + 77, live=True, muted=False)
    assert timeline.position_of(0, RATE) == 10 * RATE
    assert timeline.resume() == Gap(2 * RATE, "lost")
    assert timeline.gap is None


def test_an_interruption_after_a_sleep_is_a_suspend() -> None:
    timeline = begun()
    timeline.resume()
    timeline.awake(3.0)
    timeline.interrupt(RATE, "stalled", asleep=3.5)
    assert timeline.resume() == Gap(RATE, "stalled")
    timeline.interrupt(RATE, "stalled", asleep=300.0)
    assert timeline.resume() == Gap(RATE, "suspend")


def test_what_was_lost_shifts_what_follows() -> None:
    timeline = begun()
    timeline.lose(2.0)
    assert timeline.position_of(RATE, RATE) == 3 * RATE
    assert timeline.behind(104.0, RATE, RATE) == pytest.approx(1.0)


def test_drift_moves_times_only_when_nothing_is_active() -> None:
    timeline = begun()
    assert not timeline.follow_drift(2 * DRIFT, quiet=True), "not within a gap"
    timeline.resume()
    assert not timeline.follow_drift(DRIFT / 2, quiet=True)
    assert not timeline.follow_drift(2 * DRIFT, quiet=False)
    assert timeline.follow_drift(2 * DRIFT, quiet=True)
    assert timeline.clock is not None
    assert timeline.clock.anchor == pytest.approx(WALL + 100 + 2 * DRIFT, rel=0, abs=1e-6)
    assert timeline.position_of(RATE, RATE) == RATE, "positions stay: sample and origin move together"


def test_a_step_of_the_system_clock_is_followed_once_it_has_lasted() -> None:
    timeline = begun()
    timeline.resume()
    moved = []
    for second in range(round(BELIEVED_AFTER) + 5):
        now = 101.0 + second
        moved.append(timeline.follow_wall(now, WALL + now + 3_600, quiet=second != BELIEVED_AFTER))
    assert [off for off in moved if off] == [pytest.approx(3_600)]
    assert moved[round(BELIEVED_AFTER)] == 0.0, "what is active keeps its times"
    assert timeline.clock is not None
    assert timeline.clock.anchor == pytest.approx(WALL + 100 + 3_600, rel=0, abs=1e-6)


def test_before_anything_is_heard_there_is_no_gap() -> None:
    assert Timeline(RATE, 0.0, 0.0).gap is None


def test_what_was_muted_from_the_start_was_not_absent() -> None:
    timeline = Timeline(RATE, 100.0, 0.0)
    timeline.place(100.5, WALL, live=True, muted=True)
    assert timeline.gap == Gap(0, "muted")


@pytest.mark.parametrize(("late", "missed"), [(ABSENT, 0.0), (ABSENT + 0.5, ABSENT + 0.5)])
def test_a_source_may_take_a_moment_to_begin(late: float, missed: float) -> None:
    timeline = begun(begin=100.0 + late)
    assert timeline.position_of(0, RATE) == missed * RATE
    recording = Timeline(RATE, 100.0, 0.0)
    recording.place(100.0 + late, WALL, live=False, muted=False)
    assert recording.position_of(0, RATE) == 0, "a recording is not late"


@pytest.mark.parametrize(("slept", "cause"), [(SLEPT, "lost"), (SLEPT + 0.5, "suspend")])
def test_a_moment_of_sleep_is_no_suspend(slept: float, cause: str) -> None:
    timeline = Timeline(RATE, 100.0, 7.0)
    timeline.interrupt(5, "lost", asleep=7.0 + slept)
    assert timeline.gap == Gap(5, cause)


def test_drift_counts_from_its_size_on_in_both_directions() -> None:
    for seconds, moved in ((DRIFT, True), (-DRIFT, True), (0.99 * DRIFT, False), (-0.99 * DRIFT, False)):
        timeline = begun()
        timeline.resume()
        assert timeline.follow_drift(seconds, quiet=True) is moved
        assert timeline.clock is not None
        assert timeline.clock.anchor - WALL - 100 == pytest.approx(seconds if moved else 0.0, abs=1e-6)


def test_a_step_of_the_system_clock_is_not_followed_within_a_gap_and_only_once() -> None:
    timeline = begun()
    for second in range(round(BELIEVED_AFTER) + 5):
        assert timeline.follow_wall(101.0 + second, WALL + 101.0 + second + 50, quiet=True) == 0.0
    timeline.resume()
    assert timeline.follow_wall(170.0, WALL + 170 + 50, quiet=True) == 50
    assert [timeline.follow_wall(now, WALL + now + 50, quiet=True) for now in (171.0, 300.0, 400.0)] == [0, 0, 0]


def test_what_is_counted_as_late_asleep_and_drifted() -> None:
    """docs/operations.md: 0.1 s of drift."""
    assert (ABSENT, SLEPT, DRIFT) == (2.0, 1.0, 0.1)
