"""The payload contract, frozen: whoever changes a field changes these examples, and the version with them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.messages.event import Event, ModelName, late
from asit_edge.messages.report import Adjusted, ClipReport, CommandError, DeviceIdentity, Gap, Health, Level, Status
from asit_edge.messages.rollout import Configured
from asit_edge.messages.schema import MODELS, schema
from tests.conftest import ROOT

CONTRACT = ROOT / "tests" / "data" / "contract"
PAYLOADS = {
    "event": Event,
    "gap": Gap,
    "clip": ClipReport,
    "status": Status,
    "level": Level,
    "adjusted": Adjusted,
    "health": Health,
    "error": CommandError,
    "identity": DeviceIdentity,
    "configured": Configured,
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_are_byte_for_byte_as_published(name: str) -> None:
    for line in (CONTRACT / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        assert PAYLOADS[name].model_validate_json(line).to_json() == line


def test_the_documentation_shows_the_contracts_examples() -> None:
    published = {line for name in PAYLOADS for line in (CONTRACT / f"{name}.jsonl").read_text().splitlines()}
    shown = [line for line in (ROOT / "docs" / "mqtt.md").read_text().splitlines() if line.startswith("{")]
    assert len(shown) == len(PAYLOADS)
    assert set(shown) <= published


@pytest.mark.parametrize("name", PAYLOADS)
def test_schemas_are_as_published(name: str) -> None:
    stored = json.loads((CONTRACT / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert schema(name) == stored, f"if meant: asit-edge schema {name} > {CONTRACT / name}.schema.json"


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_always_has_every_field(name: str) -> None:
    described = schema(name)
    assert set(described["required"]) == set(described["properties"])
    assert described["additionalProperties"] is False


@pytest.mark.parametrize("name", MODELS)
def test_every_schema_says_what_it_is_about(name: str) -> None:
    described = schema(name)
    assert described["$schema"].startswith("https://json-schema.org/")
    assert described["description"]


MOMENTS = st.sampled_from(["2026-01-01T00:00:00.000Z", "2026-06-30T23:59:59.999Z"])
UNIT = st.floats(0, 1)
EVENTS = st.builds(
    Event,
    schema=st.just(1),
    type=st.sampled_from(["new", "update", "end"]),
    id=st.text(),
    device=st.text(),
    source=st.text(),
    label=st.text(),
    label_id=st.text(),
    score=UNIT,
    peak=UNIT,
    onset=MOMENTS,
    offset=st.none() | MOMENTS,
    duration=st.none() | st.floats(0, 1e6),
    onset_epoch=st.floats(0, 4e9),
    latency_ms=st.integers(0, 10**9),
    seq=st.integers(0, 2**53),
    replayed=st.booleans(),
    clip=st.none() | st.text(),
    model=st.builds(ModelName, name=st.text(), version=st.text()),
)


@given(EVENTS)
def test_an_event_is_one_line_and_is_read_back_as_it_was(event: Event) -> None:
    text = event.to_json()
    assert "\n" not in text
    assert Event.model_validate_json(text) == event
    assert list(json.loads(text)) == list(schema("event")["properties"])


@given(EVENTS)
def test_told_late_an_event_is_the_same_but_for_its_mark(event: Event) -> None:
    told = json.loads(late(event.to_json()))
    assert told == json.loads(event.to_json()) | {"replayed": True}


def test_other_payloads_are_told_late_as_they_are() -> None:
    gap = (CONTRACT / "gap.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert late(gap) == gap
