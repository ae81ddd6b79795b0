"""The newest sound of each source, as its retained topic says it."""

from pathlib import Path

from asit_edge.deliver.last_sound import LastSounds
from asit_edge.messages.event import Event
from asit_edge.mqtt.topics import Topics
from asit_edge.store.store import Store
from tests.store.samples import event

LAST = "asit/hall/mic/last"


def told(number: int, kind: str = "new", *, replayed: bool = False) -> Event:
    return event(number, "mic").model_copy(update={"type": kind, "id": f"id-{number}", "replayed": replayed})


def test_it_is_the_newest_as_it_began_and_as_it_ended(tmp_path: Path) -> None:
    last = LastSounds(Topics("asit", "hall"), ["mic"], tmp_path / "events.db")
    for one, said in (
        (told(1), True),
        (told(1, "update"), False),
        (told(2), True),
        (told(1, "end"), False),
        (told(2, "end"), True),
        (told(3, replayed=True), False),
        (told(3, "end", replayed=True), False),
        (told(2, "end"), True),
    ):
        assert last.heard(one) == ({LAST: one.to_json()} if said else {}), one


def test_a_restart_knows_it_from_the_store_and_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    assert LastSounds(Topics("asit", "hall"), ["mic"], path).start() == {}, "there is no store yet"
    store = Store(path, 100, None, 100.0, sinks={})
    store.commit([told(1), told(1, "end"), told(2)], "mic/event")
    store.close()
    last = LastSounds(Topics("asit", "hall"), ["mic", "yard"], path)
    states = last.start()
    assert list(states) == [LAST], "of a source that has heard nothing nothing is said"
    assert Event.model_validate_json(states[LAST]).id == "id-2"
    assert last.heard(told(2, "end")) == {LAST: told(2, "end").to_json()}
