"""One sound, several sources: told once, by the first that hears it, for as long as any of them does."""

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.detect.fusion import Fusion, SourceChange
from asit_edge.detect.tracker import Change, Kind

RATE = 10


def heard(
    source: str, kind: Kind, onset: float, until: float, label: int = 0, continues: int | None = None
) -> SourceChange:
    offset = round(until * RATE) if kind is Kind.END else None
    change = Change(kind, label, round(onset * RATE), offset, 0.9, 0.9, round(until * RATE), (), continues)
    return SourceChange(source, change, onset, until)


def tell(*story: SourceChange, within: float = 1.0) -> list[tuple[str, Kind, float, float | None]]:
    rooms = Fusion([["left", "right", "back"]], within, RATE)
    return [
        (one.source, one.change.kind, one.change.onset / RATE, one.change.offset and one.change.offset / RATE)
        for part in story
        for one in rooms.take(part)
    ]


def test_the_first_to_hear_it_tells_until_the_last_has_stopped() -> None:
    assert tell(
        heard("left", Kind.NEW, 5, 5.5),
        heard("right", Kind.NEW, 5.2, 5.7),
        heard("right", Kind.UPDATE, 5.2, 6),
        heard("left", Kind.UPDATE, 5, 6.2),
        heard("left", Kind.END, 5, 7),
        heard("right", Kind.END, 5.2, 8),
    ) == [("left", Kind.NEW, 5, None), ("left", Kind.UPDATE, 5, None), ("left", Kind.END, 5, 8)]


def test_what_begins_while_it_sounds_belongs_to_it() -> None:
    assert tell(
        heard("left", Kind.NEW, 5, 5.5),
        heard("right", Kind.NEW, 30, 30.5),
        heard("right", Kind.END, 30, 31),
        heard("left", Kind.END, 5, 40),
    ) == [("left", Kind.NEW, 5, None), ("left", Kind.END, 5, 40)]


def test_a_short_sound_that_the_other_decides_on_later_is_still_one() -> None:
    assert tell(
        heard("left", Kind.NEW, 5, 5.3),
        heard("left", Kind.END, 5, 5.3),
        heard("right", Kind.NEW, 5.1, 5.6),
        heard("right", Kind.END, 5.1, 5.6),
    ) == [("left", Kind.NEW, 5, None), ("left", Kind.END, 5, 5.3)]


def test_what_goes_on_much_longer_is_told_after_all() -> None:
    assert tell(
        heard("left", Kind.NEW, 5, 5.3),
        heard("left", Kind.END, 5, 5.3),
        heard("right", Kind.NEW, 5.1, 5.6),
        heard("right", Kind.UPDATE, 5.1, 9),
        heard("right", Kind.END, 5.1, 12),
    )[2:] == [("right", Kind.NEW, 5.1, None), ("right", Kind.UPDATE, 5.1, None), ("right", Kind.END, 5.1, 12)]


def test_other_labels_other_sources_and_later_sounds_are_events_of_their_own() -> None:
    assert (
        len(
            tell(
                heard("left", Kind.NEW, 5, 5.3),
                heard("right", Kind.NEW, 5, 5.3, label=1),
                heard("kitchen", Kind.NEW, 5, 5.3),
                heard("left", Kind.END, 5, 6),
                heard("right", Kind.NEW, 9, 9.3),
            )
        )
        == 5
    )


def test_a_long_event_is_continued_by_its_teller() -> None:
    assert tell(
        heard("left", Kind.NEW, 5, 5.5),
        heard("right", Kind.NEW, 5, 5.5),
        heard("left", Kind.END, 5, 15),
        heard("left", Kind.NEW, 15, 15.5, continues=50),
        heard("left", Kind.END, 15, 18),
        heard("right", Kind.END, 5, 19),
    ) == [
        ("left", Kind.NEW, 5, None),
        ("left", Kind.END, 5, 15),
        ("left", Kind.NEW, 15, None),
        ("left", Kind.END, 15, 19),
    ]


@given(st.lists(st.tuples(st.sampled_from(["left", "right", "back", "kitchen"]), st.integers(0, 20)), max_size=80))
def test_every_event_that_is_told_ends_once(steps: list[tuple[str, int]]) -> None:
    rooms = Fusion([["left", "right", "back"]], 1.0, RATE)
    sounding: dict[str, float] = {}
    told: list[SourceChange] = []
    now = 0.0
    for source, tenths in steps:
        now += tenths / 10
        if source not in sounding:
            sounding[source] = now
            told += rooms.take(heard(source, Kind.NEW, now, now + 0.1))
        elif tenths % 3:
            told += rooms.take(heard(source, Kind.UPDATE, sounding[source], now))
        else:
            told += rooms.take(heard(source, Kind.END, sounding.pop(source), now))
            now += 0.1
    for source, onset in sounding.items():
        told += rooms.take(heard(source, Kind.END, onset, now))
    open_events: set[tuple[str, int]] = set()
    for one in told:
        key = one.source, one.change.onset
        if one.change.kind is Kind.NEW:
            assert key not in open_events
            open_events.add(key)
            continue
        assert key in open_events, "a message about an event that is not open"
        if one.change.kind is Kind.END:
            assert one.change.offset is not None
            assert one.change.offset >= one.change.onset
            open_events.remove(key)
    assert not open_events, "an event without end"
