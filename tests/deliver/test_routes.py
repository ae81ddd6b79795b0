"""Which messages each sink gets."""

from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.deliver.routes import routes, unheard
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


NTFY = {"type": "ntfy", "server": "https://ntfy.local", "topic": "hall"}


def test_a_notification_is_of_the_beginning_unless_a_score_is_to_be_reached_first() -> None:
    sinks = [
        {**NTFY, "name": "any"},
        {**NTFY, "name": "sure", "min_score": 0.8},
        {**NTFY, "name": "ends", "min_score": 0.8, "types": ["end"]},
    ]
    wanted = routes(Config.model_validate({"sinks": sinks}))
    new = event().model_copy(update={"peak": 0.7})
    sure = [new.model_copy(update={"peak": 0.8, "type": kind}) for kind in ("new", "update", "end")]
    assert [[wants(one) for one in (new, *sure, gap())] for wants in wanted.values()] == [
        [True, True, False, False, False],
        [False, True, True, True, False],
        [False, False, False, True, False],
    ]


def test_names_that_nothing_has_are_told() -> None:
    sinks = [
        {"type": "command", "run": ["true"], "labels": ["Dog", "Dgo"]},
        {
            **NTFY,
            "priorities": {"Smoke alarm": "urgent", "Dog": "low"},
            "quiet_hours": [{"begin": "22:00", "end": "07:00", "labels": ["Cat"]}],
        },
    ]
    config = Config.model_validate({"sinks": sinks})
    assert list(unheard(config, ["Dog", "Cat", "Smoke detector, smoke alarm"])) == [
        "sinks.command.labels: nothing that is listened for is called 'Dgo' (did you mean 'Dog'?)",
        "sinks.ntfy.priorities: nothing that is listened for is called 'Smoke alarm' "
        "(did you mean 'Smoke detector, smoke alarm'?)",
    ]
    many = [f"Label {number}" for number in range(200)]
    assert "valid" not in next(unheard(config, many)), "no list of two hundred"


def test_a_sound_chosen_for_home_assistant_that_nothing_knows_is_told() -> None:
    config = Config.model_validate({"home_assistant": {"labels": ["Dog", "Dgo"]}})
    [told] = unheard(config, ["Dog", "Cat"])
    assert told.startswith("home_assistant.labels: nothing that is listened for is called 'Dgo'")
