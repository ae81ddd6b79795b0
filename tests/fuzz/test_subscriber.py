"""Whatever others publish under our topics, a subscriber prints a line of it, or says that it is none of ours."""

import io
import json
from typing import Any

import pytest
from hypothesis import strategies as st

from asit_edge.cli.following import Filter, Follower
from asit_edge.mqtt.client import Client
from asit_edge.mqtt.connection import Message
from tests.fuzz.budget import fuzz
from tests.fuzz.documents import EDITS, ODD, edited
from tests.store.samples import event, gap

STATUS = {"schema": 1, "device": "hall", "source": "mic", "state": "listening", "since": "2026-05-01T02:59:58.120Z"}
GOOD: dict[str, dict[str, Any]] = {
    "event": json.loads(event().to_json()),
    "gap": json.loads(gap().to_json()),
    "status": {**STATUS, "detail": "", "heard": 604.5, "lost": 4.25, "gaps": 1},
}
TOPICS = st.sampled_from(["asit/hall/mic/event", "asit/hall/mic/gap", "asit/hall/mic/status", "asit/hall/available"])
ODD_LABELS = ["a\0b", "\x1b]0;title\x07", "a\nb", "\u202e", "\x9b2J", "x" * 100_000]
LABELS = st.text(max_size=8) | st.sampled_from(ODD_LABELS)


def receive(topic: str, content: bytes, capsys: pytest.CaptureFixture[str], *, as_json: bool, run: bool) -> str:
    """What is printed, having looked that it can be shown."""
    out = io.StringIO()
    follower = Follower(Filter(), out, command=["true"] if run else [], as_json=as_json)
    client = Client(
        on_event=follower.on_event,
        on_gap=follower.on_gap,
        on_status=follower.on_status,
        on_availability=follower.on_availability,
    )
    client._on_message(Message(topic, content, False))
    assert client._failure is None, "what others send is no error of the consumer"
    printed = out.getvalue().splitlines()
    assert as_json or (len(printed) <= 1 and all(line.isprintable() for line in printed))
    assert all(line.isprintable() for line in capsys.readouterr().err.splitlines())
    return out.getvalue()


@pytest.mark.parametrize("label", ODD_LABELS, ids=ascii)
def test_a_label_that_somebody_made_up_reaches_no_terminal_as_it_is(
    label: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.dumps({**GOOD["event"], "label": label}).encode()
    assert receive("asit/hall/mic/event", content, capsys, as_json=False, run=len(label) < 100)
    content = json.dumps({**GOOD["status"], "detail": label}).encode()
    assert not receive("asit/hall/mic/status", content, capsys, as_json=False, run=False)


def test_what_others_publish_is_printed_on_a_line_or_is_none_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    def target(value: tuple[str, list[Any], str, bytes | None, bool]) -> None:
        topic, edits, label, raw, as_json = value
        payload = {**GOOD.get(topic.rpartition("/")[2], {"x": 1})}
        if topic.endswith("event"):
            payload["label"] = label
        content = json.dumps(edited(payload, edits), default=str).encode() if raw is None else raw
        receive(topic, content, capsys, as_json=as_json, run=False)

    payloads = st.none() | st.none() | st.binary(max_size=30) | ODD.map(lambda odd: repr(odd).encode(errors="replace"))
    fuzz(target, st.tuples(TOPICS, EDITS, LABELS, payloads, st.booleans()), few=150)
