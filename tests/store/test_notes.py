"""What is noted in memory while the disk takes nothing: read like the disk, bounded, and written as one."""

from asit_edge.store.database import open_database
from asit_edge.store.notes import HELD, Notes
from asit_edge.store.rows import Outgoing, Refusal
from tests.store.samples import event


def noted(count: int, sink: str = "mqtt") -> Notes:
    """Events and their messages, numbered from 1."""
    notes = Notes()
    for number in range(1, count + 1):
        notes.events[number] = event(number).model_copy(update={"seq": number})
        notes.enqueue(sink, Outgoing(number, "t", f"payload {number}", 0.0))
    return notes


def test_only_what_must_survive_a_power_cut_is_news() -> None:
    notes = Notes()
    assert not notes
    notes.forget(7)
    assert notes
    assert not notes.news
    notes.refuse("mqtt", "t", "payload", "no", 0.0)
    assert notes.news
    assert notes.refused_count == 1
    assert notes.refusals() == [Refusal("mqtt", "t", "no")]


def test_waiting_messages_are_found_by_sink_and_row() -> None:
    notes = noted(5)
    notes.enqueue("siren", Outgoing(6, "t", "payload 6", 0.0))
    assert [one.row for one in notes.waiting("mqtt", 1, 4)] == [2, 3, 4]
    assert [one.row for one in notes.waiting(None, 4, 10)] == [5, 6]
    assert notes.find(6) == [("siren", "t", "payload 6")]
    assert notes.find(7) == []


def test_a_taken_message_is_forgotten_or_to_be_deleted() -> None:
    notes = noted(2)
    notes.forget(1)
    assert notes.gone == set(), "it was never on disk"
    notes.forget(99)
    assert notes.gone == {99}
    assert notes.waiting_count == 1


def test_the_newest_are_kept_and_the_cost_is_counted() -> None:
    notes = noted(HELD + 3)
    assert notes.bound() == 3
    assert next(iter(notes.events)) == notes.waiting("mqtt", 0, 1 << 62)[0].row == 4
    assert notes.growth == HELD
    assert notes.bound() == 0
    for number in range(HELD + 2):
        notes.refuse("mqtt", "t", f"payload {number}", f"reason {number}", 0.0)
    assert notes.bound() == 0, "what was refused is no longer undelivered"
    assert [one.reason for one in notes.refusals()] == [f"reason {number}" for number in range(2, HELD + 2)]
    assert HELD == 1_000, "as docs/operations.md has it"


def test_fewer_than_that_cost_nothing() -> None:
    notes = noted(2)
    assert notes.bound() == 0
    assert len(notes.events) == notes.waiting_count == 2


def test_it_grows_by_the_larger_of_its_tables() -> None:
    notes = noted(2)
    notes.enqueue("siren", Outgoing(3, "t", "payload", 0.0))
    assert notes.growth == 3
    notes.events = {number: event(number) for number in range(5)}
    assert notes.growth == 5


def test_numbers_that_a_file_knows_for_others_are_moved_behind_its_last() -> None:
    notes = noted(3)
    notes.renumber(0)
    assert list(notes.events) == [1, 2, 3]
    notes.renumber(1)
    assert list(notes.events) == [2, 3, 4], "the last number of the file is another's"
    notes.renumber(3)
    assert list(notes.events) == [4, 5, 6], "and so is every one below it"
    notes.renumber(10)
    assert [(seq, one.seq) for seq, one in notes.events.items()] == [(11, 11), (12, 12), (13, 13)]


def test_numbers_behind_the_last_of_a_file_stay() -> None:
    notes = Notes()
    notes.renumber(5)
    assert notes.events == {}
    notes.events = {7: event(7), 8: event(8)}
    notes.renumber(5)
    assert list(notes.events) == [7, 8]


def test_all_of_it_is_written() -> None:
    database = open_database(None)
    noted(3).write(database)
    notes = Notes()
    notes.forget(2)
    notes.refuse("mqtt", "t", "payload 2", "no", 5.0)
    notes.retained = ["a", "b"]
    notes.write(database)
    assert database.execute("SELECT seq, id FROM event").fetchall() == [(1, "id-1"), (2, "id-2"), (3, "id-3")]
    assert database.execute("SELECT row, sink, topic, payload FROM outbox").fetchall() == [
        (1, "mqtt", "t", "payload 1"),
        (3, "mqtt", "t", "payload 3"),
    ]
    assert database.execute("SELECT sink, reason, refused FROM dead_letter").fetchall() == [("mqtt", "no", 5.0)]
    assert database.execute("SELECT topic FROM retained").fetchall() == [("a",), ("b",)]
    notes = Notes()
    notes.write(database)
    assert database.execute("SELECT topic FROM retained").fetchall() == [("a",), ("b",)], "not changed"
    notes.retained = ["b", "c"]
    notes.write(database)
    assert database.execute("SELECT topic FROM retained").fetchall() == [("b",), ("c",)]
