"""Whatever comes from afar, nothing is changed by it but what the file declares."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asit_edge.config.file import load_config, load_layers, load_local, load_with
from asit_edge.config.remote import Record, Wanted, record_file, write_record
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.remote.differing import differing

ALLOWED = ["events.only", "events.labels", "mqtt.expiry", "sources.stall_after"]


def text(folder: Path) -> str:
    return (
        f"store: {{path: {folder}/events.db}}\nsources: [{{type: stream, url: 'rtsp://x'}}, {{type: stdin}}]\n"
        f"remote: {{enabled: true, allow: {json.dumps(ALLOWED)}}}\nevents: {{merge_gap: 3, only: [Cat]}}\n"
    )


def written(folder: Path) -> Path:
    file = folder / "config.yaml"
    file.write_text(text(folder), encoding="utf-8")
    return file


def wanted(config: dict[str, Any], serial: int = 7) -> Wanted:
    return Wanted.model_validate({"schema": 1, "serial": serial, "config": config})


KEYS = st.sampled_from(
    [*Config.model_fields, "only", "labels", "expiry", "host", "stream", "stall_after", "url", "Dog"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(1, 99) | st.sampled_from(["x", "Dog"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)

ALLOWED_ONES = st.fixed_dictionaries(
    {"mqtt": st.dictionaries(st.just("expiry"), st.integers(1, 99), min_size=1)},
    optional={
        "sources": st.dictionaries(
            st.just("stream"), st.dictionaries(KEYS, st.integers(1, 99), max_size=1), max_size=1
        ),
        "events": st.dictionaries(st.sampled_from(["only", "labels"]), VALUES, max_size=2),
    },
)


@settings(max_examples=150, deadline=None)
@given(config=ALLOWED_ONES | st.dictionaries(KEYS, VALUES, max_size=4))
def test_nothing_changes_but_what_is_allowed(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = written(tmp_path_factory.getbasetemp())
    local = load_local(file, {}).config
    try:
        changed = load_with(wanted(config), file, {}).config
    except WrongUse:
        return
    allowed = ("events.only", "events.labels", "mqtt.expiry", "sources.0.stall_after", "sources.1.stall_after")
    assert [key for key in differing(local, changed) if not key.startswith(allowed)] == []


def test_the_environment_goes_before_it_and_it_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path)
    config = {"events": {"only": ["Dog"]}, "sources": {"stream": {"stall_after": 9}}, "mqtt": {"expiry": 60}}
    write_record(record_file(tmp_path / "events.db"), Record(serial=7, in_force=wanted(config), state="applied"))
    loaded = load_layers(file, {"ASIT_EDGE__MQTT__EXPIRY": "70"})
    assert loaded.config.events.only == ["Dog"]
    assert loaded.config.events.merge_gap == 3
    assert (loaded.config.mqtt.expiry, loaded.config.sources[0].model_dump()["stall_after"]) == (70, 9)
    assert {one.variable for one in loaded.overrides} == {"from afar (7)", "ASIT_EDGE__MQTT__EXPIRY"}
    file.write_text(text(tmp_path).replace("enabled: true", "enabled: false"), encoding="utf-8")
    assert load_config(file).events.only == ["Cat"]


def test_what_does_not_fit_the_file_any_more_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path)
    write_record(record_file(tmp_path / "events.db"), Record(serial=7, in_force=wanted({"events": {"merge_gap": 9}})))
    assert load_config(file).events.merge_gap == 3
    assert "left out: events.merge_gap: cannot be set from afar here" in caplog.text
    record_file(tmp_path / "events.db").write_text("{", encoding="utf-8")
    assert load_config(file).events.merge_gap == 3
    assert "remove it to begin anew" in caplog.text


@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ("{enabled: true}", "nothing may come"),
        ("{allow: [sinks]}", "'sinks' cannot be set from afar"),
        ("{allow: [event]}", "did you mean 'events'"),
        ("{allow: [sources.options]}", "cannot be set from afar"),
        ("{allow: [mqtt]}", "cannot be set from afar"),
        ("{bundles: 'http://models.example.org'}", "must be https://"),
        ("{bundles: 'https://ann:s3cret@models.example.org'}", "must be https://"),
        ("{topic: 'a/#'}", "must be a topic without"),
    ],
)
def test_what_cannot_be_declared_is_a_mistake_of_the_file(tmp_path: Path, remote: str, why: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"remote: {remote}\n", encoding="utf-8")
    with pytest.raises(WrongUse, match=why) as error:
        load_config(file)
    assert "s3cret" not in str(error.value)
