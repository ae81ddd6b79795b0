"""Replay: the pipeline of live listening, on the recording's own time."""

from pathlib import Path

import pytest

from asit_edge.assembly import Model, load_model
from asit_edge.audio.clock import parse_iso
from asit_edge.config.events import QuietHours
from asit_edge.config.root import Config
from asit_edge.listen.replay import replay
from asit_edge.messages.event import Event
from asit_edge.store.store import Store


def events(model: Model, file: Path, start: str = "1970-01-01T00:00:00Z", *quiet: QuietHours) -> list[Event]:
    return list(replay(file, model, "hall", Store(None), parse_iso(start), quiet))


def test_quiet_hours_go_by_the_time_of_the_recording(
    tone_bundle: Path, tone_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    model = load_model(Config(model=tone_bundle))
    low = QuietHours(begin="22:00", end="06:00", labels=["Low tone"])
    everything = QuietHours(begin="22:00", end="06:00")
    night, noon = "2026-05-01T23:00:00Z", "2026-05-01T12:00:00Z"
    assert {event.label for event in events(model, tone_file, noon, low)} == {"Low tone", "High tone"}
    assert {event.label for event in events(model, tone_file, night, low)} == {"High tone"}
    assert events(model, tone_file, night, everything) == []


def test_relatives_and_continuations_are_named_where_there_are_any(tone_bundle: Path, tone_file: Path) -> None:
    config = {"model": tone_bundle, "events": {"max_duration": 0.5}}
    told = [event for event in events(load_model(Config.model_validate(config)), tone_file) if event.type == "new"]
    first, second = told[0], told[1]
    assert first.continues is None
    assert second.continues == first.id
    assert f'"continues":"{first.id}"' in second.to_json()
    assert all(event.also == [] for event in told)
    assert len({event.id for event in told}) == len(told)


def test_a_family_is_one_event(tone_bundle: Path, tone_file: Path) -> None:
    values = {
        "model": tone_bundle,
        "events": {
            "parents": {"High tone": "Low tone"},
            "merge_gap": 10.0,  # the low tone is still open when the high one begins
        },
    }
    told = events(load_model(Config.model_validate(values)), tone_file)
    assert {event.label for event in told} == {"Low tone"}
    assert [event.also for event in told][-1] == ["High tone"]
    assert '"also":["High tone"]' in told[-1].to_json()
