"""The tracker: hysteresis, durations and gaps on small stories, and what must hold for any story."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.detect.tracker import Change, Kind, Tracker

STEP = 10
"""Samples a decision covers in these tests."""


def run(scores: list[float], finish: bool = True, **settings: float) -> list[Change]:
    """The changes of one class, with on 0.5 and off 0.3 unless told otherwise."""
    tracker = Tracker([ClassSettings(**{"on": 0.5, "off": 0.3, **settings})])  # type: ignore[arg-type]
    changes = []
    for index, score in enumerate(scores):
        changes += tracker.step(index * STEP, (index + 1) * STEP, np.float32([score]))
    return changes + (tracker.finish(len(scores) * STEP) if finish else [])


def spans(changes: list[Change]) -> list[tuple[int, int | None]]:
    return [(change.onset, change.offset) for change in changes if change.kind is Kind.END]


def test_an_event_begins_at_on_and_lasts_until_below_off() -> None:
    changes = run([0.1, 0.4, 0.6, 0.4, 0.35, 0.2, 0.1])
    assert [change.kind for change in changes] == [Kind.NEW, Kind.END]
    assert spans(changes) == [(20, 50)]
    assert changes[0].decided == 30
    assert changes[1].peak == pytest.approx(0.6)


def test_between_off_and_on_nothing_begins() -> None:
    assert run([0.4, 0.49, 0.4]) == []


def test_a_pause_within_the_merge_gap_is_bridged() -> None:
    assert spans(run([0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1], merge_gap=2 * STEP)) == [(0, 40)]


def test_a_longer_pause_makes_two_events() -> None:
    assert spans(run([0.9, 0.1, 0.1, 0.1, 0.9, 0.1], merge_gap=2 * STEP)) == [(0, 10), (40, 50)]


def test_after_a_pause_only_on_resumes_an_event() -> None:
    assert spans(run([0.9, 0.1, 0.4, 0.1, 0.1], merge_gap=STEP)) == [(0, 10)]


def test_an_event_is_announced_when_it_has_lasted_long_enough() -> None:
    changes = run([0.9, 0.9, 0.9, 0.1], min_duration=3 * STEP)
    assert (changes[0].kind, changes[0].onset, changes[0].decided) == (Kind.NEW, 0, 30)
    assert run([0.9, 0.9, 0.1, 0.9], min_duration=3 * STEP) == []


def test_cooldown_keeps_the_next_event_back() -> None:
    assert spans(run([0.9, 0.1, 0.9, 0.1, 0.9, 0.1], cooldown=3 * STEP)) == [(0, 10), (40, 50)]


def test_updates_come_at_a_bounded_rate() -> None:
    changes = run([0.9] * 10, update_every=3 * STEP)
    told = [change.decided for change in changes if change.kind is Kind.UPDATE]
    assert told == [40, 70, 100]
    assert all(change.offset is None for change in changes[:-1])


def test_shutdown_ends_what_is_sounding_where_the_audio_ends() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.step(0, 10, np.float32([0.9]))
    changes = tracker.finish(7)  # the last three samples were padding
    assert spans(changes) == [(0, 7)]
    assert tracker.finish(7) == []


def test_after_a_gap_a_new_event_begins() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3, merge_gap=1_000)])
    changes = tracker.step(0, 10, np.float32([0.9])) + tracker.finish(10)
    changes += tracker.step(500, 510, np.float32([0.9])) + tracker.finish(510)
    assert spans(changes) == [(0, 10), (500, 510)]


def test_unreported_classes_stay_silent() -> None:
    tracker = Tracker([None, ClassSettings(0.5, 0.3)])
    changes = tracker.step(0, 10, np.float32([0.9, 0.9]))
    assert [change.label for change in changes] == [1]


def test_audio_must_follow_on() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.step(0, 10, np.float32([0.1]))
    with pytest.raises(ValueError, match="does not follow"):
        tracker.step(5, 15, np.float32([0.1]))
    with pytest.raises(ValueError, match="expected 1 scores"):
        tracker.step(10, 20, np.float32([0.1, 0.2]))


@pytest.mark.parametrize(
    "settings", [{"on": 0.3, "off": 0.5}, {"on": 0.5, "off": 0.0}, {"on": 0.5, "off": 0.3, "cooldown": -1}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"thresholds|negative"):
        ClassSettings(**settings)  # type: ignore[arg-type]


SETTINGS = st.builds(
    lambda a, b, *durations: ClassSettings(max(a, b), min(a, b), *durations),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    *[st.integers(0, 6 * STEP)] * 4,
)
STORIES = st.lists(
    st.one_of(st.floats(0, 1, width=32), st.tuples(st.just("gap"), st.integers(1, 200))), min_size=1, max_size=80
)


@given(SETTINGS, STORIES, st.integers(0, STEP))
def test_every_story_is_told_consistently(
    settings: ClassSettings, story: list[float | tuple[str, int]], padding: int
) -> None:
    tracker = Tracker([settings])
    changes: list[Change] = []
    position = 0
    for chapter in story:
        if isinstance(chapter, tuple):
            changes += tracker.finish(position)
            position += chapter[1]
        else:
            changes += tracker.step(position, position + STEP, np.float32([chapter]))
            position += STEP
    changes += tracker.finish(max(position - padding, 0))

    open_onset: int | None = None
    last_offset = last_decided = 0
    onsets = []
    for change in changes:
        assert 0 <= change.score <= 1
        assert 0 <= change.peak <= 1
        assert change.peak >= settings.on - 1e-6
        assert change.decided >= last_decided or change is changes[-1]
        last_decided = change.decided
        if change.kind is Kind.NEW:
            assert open_onset is None, "an event begins while another of its class is open"
            assert change.onset >= last_offset + (settings.cooldown if onsets else 0)
            open_onset = change.onset
            onsets.append(change.onset)
        assert change.onset == open_onset, "a message about an event that is not open"
        if change.kind is Kind.END:
            assert change.offset is not None
            assert change.onset <= change.offset <= position
            last_offset = change.offset
            open_onset = None
        else:
            assert change.offset is None
    assert open_onset is None, "an event without end"
    assert len(set(onsets)) == len(onsets)


DOG, BARK, GROWL, CAT = range(4)
PARENTS = {BARK: DOG, GROWL: DOG}


def family(
    scores: dict[int, list[float]], parents: dict[int, int] | None = None, **settings: int
) -> list[tuple[Kind, int, tuple[int, ...], int, int | None]]:
    """What four classes with these scores have to say: kind, label, also, onset, offset."""
    tracker = Tracker([ClassSettings(0.5, 0.3, **settings)] * 4, PARENTS if parents is None else parents)
    length = max(map(len, scores.values()))
    changes = []
    for index in range(length):
        values = np.zeros(4, np.float32)
        for label, own in scores.items():
            values[label] = own[index] if index < len(own) else 0
        changes += tracker.step(index * STEP, (index + 1) * STEP, values)
    changes += tracker.finish(length * STEP)
    return [(change.kind, change.label, change.also, change.onset, change.offset) for change in changes]


def test_a_dog_that_barks_is_one_event_with_the_more_specific_label() -> None:
    assert family({DOG: [0.9, 0.9, 0], BARK: [0.9, 0, 0]}) == [
        (Kind.NEW, BARK, (DOG,), 0, None),
        (Kind.END, BARK, (DOG,), 0, 20),
    ]


def test_what_joins_later_is_named_in_an_update_and_the_id_stays() -> None:
    assert family({DOG: [0.9, 0.9, 0.9, 0], BARK: [0, 0.9, 0, 0]}) == [
        (Kind.NEW, DOG, (), 0, None),
        (Kind.UPDATE, DOG, (BARK,), 0, None),
        (Kind.END, DOG, (BARK,), 0, 30),
    ]


def test_brothers_and_strangers_are_events_of_their_own() -> None:
    assert [change[:2] for change in family({BARK: [0.9, 0], GROWL: [0.9, 0], CAT: [0.9, 0]})] == [
        (Kind.NEW, BARK),
        (Kind.NEW, GROWL),
        (Kind.NEW, CAT),
        (Kind.END, BARK),
        (Kind.END, GROWL),
        (Kind.END, CAT),
    ]


def test_without_families_every_label_is_for_itself() -> None:
    assert [change[:3] for change in family({DOG: [0.9, 0], BARK: [0.9, 0]}, {})][:2] == [
        (Kind.NEW, DOG, ()),
        (Kind.NEW, BARK, ()),
    ]


def test_a_family_in_circles_is_refused() -> None:
    with pytest.raises(ValueError, match="own ancestor"):
        Tracker([ClassSettings(0.5, 0.3)] * 2, {0: 1, 1: 0})


def test_an_event_that_is_too_long_ends_and_goes_on() -> None:
    changes = run([0.9] * 10, max_duration=4 * STEP)
    assert [(change.kind, change.onset, change.offset, change.continues) for change in changes] == [
        (Kind.NEW, 0, None, None),
        (Kind.END, 0, 40, None),
        (Kind.NEW, 40, None, 0),
        (Kind.END, 40, 80, 0),
        (Kind.NEW, 80, None, 40),
        (Kind.END, 80, 100, 40),
    ]


def test_muted_classes_end_and_stay_silent_until_they_are_heard_again() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3), ClassSettings(0.5, 0.3)])
    loud = np.float32([0.9, 0.9])
    tracker.step(0, 10, loud)
    assert [(change.kind, change.label) for change in tracker.mute({0})] == [(Kind.END, 0)]
    assert tracker.step(10, 20, loud) == []
    assert tracker.mute({0}) == []
    assert tracker.mute(()) == []
    assert [(change.kind, change.label) for change in tracker.step(20, 30, loud)] == [(Kind.NEW, 0)]


def test_when_what_an_event_is_called_is_muted_its_relative_goes_on() -> None:
    """Bark is a Dog: the event is called Bark, and a dog is still heard."""
    tracker = Tracker([ClassSettings(0.5, 0.3), ClassSettings(0.5, 0.3)], {1: 0})
    tracker.step(0, 10, np.float32([0.1, 0.9]))
    tracker.step(10, 20, np.float32([0.8, 0.9]))
    end, new = tracker.mute({1})
    assert (end.kind, end.label, end.onset, end.offset, end.also) == (Kind.END, 1, 0, 20, (0,))
    assert (new.kind, new.label, new.onset, new.also) == (Kind.NEW, 0, 10, ())
    assert new.peak == pytest.approx(0.8)
    assert tracker.step(20, 30, np.float32([0.8, 0.9])) == []
    [over] = tracker.step(30, 40, np.float32([0.1, 0.9]))
    assert (over.kind, over.label, over.onset, over.offset) == (Kind.END, 0, 10, 30)


def test_a_threshold_can_be_moved() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.set_thresholds(0, 0.2, 0.1)
    assert len(tracker.step(0, 10, np.float32([0.25]))) == 1
    with pytest.raises(ValueError, match="thresholds"):
        tracker.set_thresholds(0, 1.5, 0.3)


@given(
    st.lists(SETTINGS, min_size=4, max_size=4),
    st.integers(0, 5 * STEP),
    st.lists(
        st.one_of(
            st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4),
            st.tuples(st.just("gap"), st.integers(0, 200)),
            st.tuples(st.just("mute"), st.sets(st.integers(0, 3))),
        ),
        max_size=60,
    ),
    st.dictionaries(st.integers(1, 3), st.just(0)),
)
def test_families_long_events_and_quiet_are_told_consistently(
    settings: list[ClassSettings], longest: int, story: list[object], parents: dict[int, int]
) -> None:
    tracker = Tracker([replace(entry, max_duration=longest) for entry in settings], parents)
    changes: list[Change] = []
    position = 0
    for chapter in story:
        if isinstance(chapter, list):
            changes += tracker.step(position, position + STEP, np.float32(chapter))
            position += STEP
        elif isinstance(chapter, tuple) and chapter[0] == "gap":
            changes += tracker.finish(position)
            assert tracker.quiet
            position += chapter[1]
        elif isinstance(chapter, tuple):
            changes += tracker.mute(chapter[1])
    changes += tracker.finish(position)
    open_events: dict[int, Change] = {}
    for change in changes:
        relatives = {
            label for label in range(4) if parents.get(label) == change.label or parents.get(change.label) == label
        }
        assert set(change.also) <= relatives
        assert len(set(change.also)) == len(change.also)
        assert 0 <= change.score <= 1
        if change.kind is Kind.NEW:
            assert change.label not in open_events
            open_events[change.label] = change
            continue
        begun = open_events[change.label]
        assert change.onset == begun.onset
        assert change.peak >= settings[change.label].off or begun.continues is not None
        if change.kind is Kind.END:
            assert change.offset is not None
            assert change.onset <= change.offset <= position
            if longest:
                assert change.offset - change.onset <= max(longest, STEP) + max(e.min_duration for e in settings) + STEP
            del open_events[change.label]
    assert not open_events
    keys = [(change.label, change.onset) for change in changes if change.kind is Kind.NEW]
    assert len(set(keys)) == len(keys), "ids repeat"


def test_an_end_has_the_score_that_ended_it_and_an_update_the_newest() -> None:
    changes = run([0.9, 0.95, 0.6, 0.2], update_every=STEP)
    assert [(change.kind, change.score, change.peak, change.decided) for change in changes] == [
        (Kind.NEW, pytest.approx(0.9), pytest.approx(0.9), 10),
        (Kind.UPDATE, pytest.approx(0.95), pytest.approx(0.95), 20),
        (Kind.UPDATE, pytest.approx(0.6), pytest.approx(0.95), 30),
        (Kind.END, pytest.approx(0.2), pytest.approx(0.95), 40),
    ]
    assert len(run([0.9] * 5, update_every=1)) == 6, "as often as there is a decision"


def test_a_score_that_may_not_begin_anything_is_no_peak() -> None:
    """Bark is over and cools down; Dog goes on, and with it the event."""
    tracker = Tracker([ClassSettings(0.5, 0.3), ClassSettings(0.5, 0.3, cooldown=1_000)], {1: 0})
    tracker.step(0, 10, np.float32([0.6, 0.6]))
    tracker.step(10, 20, np.float32([0.6, 0.1]))
    tracker.step(20, 30, np.float32([0.6, 0.99]))
    [end] = tracker.finish(30)
    assert (end.label, end.peak, end.offset) == (1, pytest.approx(0.6), 30)


def test_what_joins_again_is_named_once() -> None:
    changes = family({DOG: [0.9, 0, 0.9, 0, 0.9], BARK: [0.9] * 5})
    assert changes == [(Kind.NEW, BARK, (DOG,), 0, None), (Kind.END, BARK, (DOG,), 0, 50)]


def test_the_label_that_an_event_carries_may_come_again_within_it() -> None:
    changes = family({DOG: [0.9] * 4, BARK: [0.9, 0, 0.9, 0]})
    assert changes == [(Kind.NEW, BARK, (DOG,), 0, None), (Kind.END, BARK, (DOG,), 0, 40)]


def test_who_joins_an_event_that_follows_another_in_the_same_audio_is_in_its_beginning() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3), ClassSettings(0.5, 0.3)], {1: 0})
    tracker.step(0, 10, np.float32([0.1, 0.9]))
    changes = tracker.step(50, 60, np.float32([0.9, 0.9]))  # ten decisions are missing between
    assert [(change.kind, change.label, change.onset, change.also) for change in changes] == [
        (Kind.END, 1, 0, ()),
        (Kind.NEW, 1, 50, (0,)),
    ]


def test_an_event_that_counts_late_may_be_too_long_at_once() -> None:
    changes = run([0.9] * 3, min_duration=3 * STEP, max_duration=2 * STEP)
    assert [(change.kind, change.onset, change.offset) for change in changes] == [
        (Kind.NEW, 0, None),
        (Kind.END, 0, 20),
        (Kind.NEW, 20, None),
        (Kind.END, 20, 30),
    ]


def test_an_event_ends_for_its_length_where_it_was_last_heard() -> None:
    changes = run([0.9, 0.9, 0.1, 0.1, 0.9], merge_gap=3 * STEP, max_duration=3 * STEP)
    assert spans(changes) == [(0, 20), (40, 50)]
    assert changes[2].continues == 0


def test_a_single_decision_is_never_too_long() -> None:
    assert spans(run([0.9], max_duration=STEP // 2)) == [(0, 10)]
    assert spans(run([0.9] * 2, max_duration=2 * STEP)) == [(0, 20)], "exactly as long as it may be"


def test_what_goes_on_names_who_still_takes_part() -> None:
    changes = family({DOG: [0.9, 0, 0, 0, 0], BARK: [0.9] * 5}, max_duration=3 * STEP)
    assert changes == [
        (Kind.NEW, BARK, (DOG,), 0, None),
        (Kind.END, BARK, (DOG,), 0, 30),
        (Kind.NEW, BARK, (), 30, None),
        (Kind.END, BARK, (), 30, 50),
    ]
    changes = family({DOG: [0.9] * 5, BARK: [0.9, 0, 0, 0, 0]}, max_duration=3 * STEP, merge_gap=10 * STEP)
    assert [change[3:] for change in changes if change[0] is Kind.END] == [(0, 30), (30, 50)], "Dog is heard, Bark not"


def test_audio_goes_forwards() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    assert tracker.classes == 1
    for start, end in ((-1, 5), (5, 5), (5, 4)):
        with pytest.raises(ValueError, match="does not follow"):
            tracker.step(start, end, np.float32([0.1]))
    tracker.finish(20)
    with pytest.raises(ValueError, match="does not follow"):
        tracker.step(10, 30, np.float32([0.1]))
    tracker.step(20, 30, np.float32([0.1]))


def test_it_is_quiet_when_no_class_is_active() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3, min_duration=100), ClassSettings(0.5, 0.3)])
    assert tracker.quiet
    tracker.step(0, 10, np.float32([0.9, 0.1]))
    assert not tracker.quiet, "not even for too short a time to count"


def test_a_threshold_is_one_classes_own() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3), ClassSettings(0.5, 0.3)])
    tracker.set_thresholds(1, 0.2, 0.2)
    assert [change.label for change in tracker.step(0, 10, np.float32([0.25, 0.25]))] == [1]


def test_audio_that_was_all_padding_was_an_event_of_no_length() -> None:
    tracker = Tracker([ClassSettings(0.5, 0.3)])
    tracker.step(0, 10, np.float32([0.9]))
    assert spans(tracker.finish(0)) == [(0, 0)]


def test_classes_come_and_go_while_it_runs_and_the_others_notice_nothing() -> None:
    """A taught sound is a class more; one that is forgotten ends what it has begun."""
    settings = ClassSettings(on=0.5, off=0.3)
    alone, growing = Tracker([settings]), Tracker([settings])
    assert growing.know([settings, settings]) == []
    assert growing.classes == 2
    for end, (one, two) in enumerate([(0.9, 0.9), (0.9, 0.9), (0.1, 0.9)], 1):
        expected = alone.step(100 * (end - 1), 100 * end, np.array([one], np.float32))
        changes = growing.step(100 * (end - 1), 100 * end, np.array([one, two], np.float32))
        assert [change for change in changes if change.label == 0] == expected
    gone = growing.know([settings, None, settings])
    assert [(change.kind, change.label, change.offset) for change in gone] == [(Kind.END, 1, 300)]
    changes = growing.step(300, 400, np.array([0.1, 0.9, 0.9], np.float32))
    assert {change.label for change in changes if change.kind is Kind.NEW} == {2}


def test_a_threshold_that_was_set_stays_when_classes_come() -> None:
    settings = ClassSettings(on=0.5, off=0.3)
    tracker = Tracker([settings])
    tracker.set_thresholds(0, 0.95, 0.3)
    tracker.know([settings, settings])
    assert tracker.step(0, 100, np.array([0.9, 0.1], np.float32)) == []
