"""What a subscriber prints, where to, and when it has had enough."""

import io
import json
from pathlib import Path

import pytest

from asit_edge.cli.following import Filter, Follower
from asit_edge.messages.report import Status
from asit_edge.mqtt.client import Availability
from tests.store.samples import event, gap


def test_only_wanted_events_are_printed_and_counted() -> None:
    out = io.StringIO()
    follower = Follower(Filter(frozenset({"dog"}), 0.5), out, as_json=True, count=2)
    dog, cat, faint = event(), event().model_copy(update={"label": "Cat"}), event().model_copy(update={"peak": 0.4})
    for one in (cat, dog, faint, dog, dog):
        follower.on_event(one)
    assert out.getvalue() == 2 * f"{dog.to_json()}\n"
    assert follower.enough.is_set()


def test_what_is_told_late_is_marked() -> None:
    out = io.StringIO()
    follower = Follower(Filter(), out)
    follower.on_event(event())
    follower.on_event(event().model_copy(update={"replayed": True, "offset": "2026-01-01T00:00:01.000Z"}))
    start = "2026-01-01T00:00:00.000Z"
    assert out.getvalue().splitlines() == [
        f"hall/mic  new    {'Dog':<30} peak 0.90  {start}",
        f"hall/mic  new    {'Dog':<30} peak 0.90  {start} to 2026-01-01T00:00:01.000Z  (told late)",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_not_an_event_goes_to_standard_error_except_gaps_as_json(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    follower = Follower(Filter(), out, as_json=as_json)
    follower.on_gap(gap())
    since = gap().begin
    follower.on_status(Status(schema=1, device="hall", source="mic", state="lost", since=since, detail="no device"))
    follower.on_availability(Availability("hall", False))
    notes = capsys.readouterr().err.splitlines()
    assert notes[-2:] == [f"asit-edge: hall/mic: lost since {since} (no device)", "asit-edge: hall: offline"]
    told = f"asit-edge: hall/mic: nothing was heard from {since} to {gap().end} (overrun)"
    assert notes[:-2] == ([] if as_json else [told])
    assert [json.loads(line) for line in out.getvalue().splitlines()] == (
        [{"gap": json.loads(gap().to_json())}] if as_json else []
    )


def test_a_command_that_fails_is_said_and_the_following_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    follower = Follower(Filter(), io.StringIO(), command=["sh", "-c", f"cat >> {tmp_path}/ran; exit 3"])
    follower.on_event(event(0))
    follower.on_event(event(1))
    assert (tmp_path / "ran").read_text() == f"{event(0).to_json()}\n{event(1).to_json()}\n"
    assert capsys.readouterr().err == 2 * "asit-edge: sh ended with 3\n"


def test_only_messages_of_the_wanted_types_are_printed() -> None:
    out = io.StringIO()
    follower = Follower(Filter(types=frozenset({"new", "end"})), out, as_json=True)
    messages = [event(number).model_copy(update={"type": kind}) for number, kind in enumerate(("new", "update", "end"))]
    for one in messages:
        follower.on_event(one)
    assert out.getvalue().splitlines() == [messages[0].to_json(), messages[2].to_json()]
