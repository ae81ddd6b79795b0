"""Which messages each sink gets."""

from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.deliver.routes import routes
from tests.store.samples import event, gap


def test_the_broker_gets_everything_and_is_a_sink_only_where_there_is_one() -> None:
    assert routes(Config()) == {}
    wants = routes(Config.model_validate({"mqtt": {"host": "broker"}}))["mqtt"]
    assert wants(event())
    assert wants(gap())


def test_another_sink_gets_the_events_of_its_types_and_labels(tmp_path: Path) -> None:
    sinks = [
        {"type": "file", "name": "all", "path": str(tmp_path / "all")},
        {"type": "file", "name": "cats", "path": str(tmp_path / "cats"), "labels": ["Cat"]},
        {"type": "file", "name": "ends", "path": str(tmp_path / "ends"), "types": ["end"]},
    ]
    wanted = routes(Config.model_validate({"sinks": sinks}))
    dog = event()
    cat, dog_ends = (dog.model_copy(update=update) for update in ({"label": "Cat"}, {"type": "end"}))
    assert [[wants(one) for one in (dog, cat, dog_ends, gap())] for wants in wanted.values()] == [
        [True, True, True, False],
        [False, True, False, False],
        [False, False, True, False],
    ]
