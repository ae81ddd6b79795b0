"""What the broker's words about a name mean: history, a replacement, a namesake, a copy."""

import logging

import pytest

from asit_edge.deliver.namesakes import AGAIN_SECONDS, SHOWN_SECONDS, Namesakes
from asit_edge.host.identity import Identity
from asit_edge.messages.report import DeviceIdentity
from asit_edge.mqtt.topics import Topics

TOPICS = Topics("asit", "hall")
KEPT = ["asit/hall/mic/status", "asit/hall/mic/sound/status", "homeassistant/sensor/asit_edge_hall/level-mic/config"]
FORMER = ["asit/attic/available", "asit/attic/mic/status", "homeassistant/sensor/asit_edge_attic/level-mic/config"]


def identity(*, copied: bool = False, last_run: str | None = "before") -> Identity:
    return Identity("we", "now", last_run, copied)


def namesakes(kept: list[str], **more: bool) -> Namesakes:
    return Namesakes(TOPICS, identity(**more), kept, "box", "2026-01-01T00:00:00.000Z")  # type: ignore[arg-type]


def said(who: str, run: str, device: str = "hall") -> bytes:
    since = "2026-01-02T00:00:00.000Z"
    return DeviceIdentity(schema=1, device=device, identity=who, run=run, host="pi", since=since).to_json().encode()


def test_what_lay_there_before_us_is_history() -> None:
    one = namesakes([])
    for who, run in (("we", "before"), ("we", "long ago")):
        assert not one.take(TOPICS.identity, said(who, run), 0.0)
    one.take(TOPICS.identity, one.own.encode(), 0.0)
    assert one.problem(0.0) == ""


def test_another_device_that_had_the_name_is_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    one = namesakes([])
    one.take(TOPICS.identity, said("they", "x"), 0.0)
    one.take(TOPICS.identity, said("they", "x"), 0.0)
    assert one.problem(0.0) == ""
    assert caplog.text.count("another device on host 'pi' has had it since") == 1
    assert "give one of them another name (device in config.yaml); if this one takes its place" in caplog.text


@pytest.mark.parametrize(("who", "words"), [("they", "another device"), ("we", "a copy of this device")])
def test_who_comes_after_us_is_a_namesake(who: str, words: str) -> None:
    one = namesakes([])
    one.take(TOPICS.identity, one.own.encode(), 0.0)
    assert one.take(TOPICS.identity, said(who, "x"), 10.0), "it must know of us too"
    assert words in one.problem(10.0)
    assert "give one of them another name" in one.problem(10.0)
    assert not one.take(TOPICS.identity, said(who, "x"), 10.0 + AGAIN_SECONDS / 2), "no quarrel without end"
    assert one.take(TOPICS.identity, said(who, "x"), 11.0 + AGAIN_SECONDS)
    assert one.problem(10.0 + AGAIN_SECONDS + SHOWN_SECONDS + 2) == ""


def test_what_a_run_before_left_may_be_emptied_at_once_under_the_same_name() -> None:
    one = namesakes(KEPT)
    assert one.leftovers() == set(KEPT)
    assert one.leftovers() is None
    assert one.subscriptions == ["asit/hall/identity"]


@pytest.mark.parametrize(
    ("available", "lying_there", "ours"),
    [
        (b"offline", said("we", "before", "attic"), True),
        (None, None, True),
        (b"online", said("we", "before", "attic"), False),
        (b"offline", said("we", "after the copy was made", "attic"), False),
        (b"offline", said("they", "x", "attic"), False),
        (b"online", None, False),
    ],
)
def test_what_lies_under_a_former_name_is_ours_unless_another_has_it(
    available: bytes | None, lying_there: bytes | None, ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    one = namesakes(KEPT + FORMER)
    assert set(one.subscriptions) == {"asit/hall/identity", "asit/attic/available", "asit/attic/identity"}
    assert one.leftovers() is None, "not before the broker has said who is there"
    if available is not None:
        one.take("asit/attic/available", available, 0.0)
    if lying_there is not None:
        one.take("asit/attic/identity", lying_there, 0.0)
    one.take(TOPICS.identity, one.own.encode(), 0.0)
    assert one.leftovers() == set(KEPT + FORMER if ours else KEPT)
    assert ("asit/attic are left as they are" in caplog.text) != ours


def test_a_copy_on_another_machine_empties_nothing() -> None:
    assert namesakes(KEPT + FORMER, copied=True).leftovers() == set()


@pytest.mark.parametrize("payload", [b"", b"{}", b"null", b"\xff", b'{"schema": 2}'])
def test_nonsense_means_nothing(payload: bytes) -> None:
    one = namesakes(KEPT)
    one.take(TOPICS.identity, one.own.encode(), 0.0)
    assert not one.take(TOPICS.identity, payload, 0.0)
    assert not one.take("asit/hall/mic/status", payload, 0.0)
    assert one.problem(0.0) == ""
