"""What adjustments mean for a source of a model, and what is told of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.adjust.adjustments import AS_CONFIGURED, NOTHING, obeyed
from asit_edge.adjust.effect import Effect, clock_time, effect, report, strangers, with_threshold
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.mqtt.commands import Command
from tests.adjust.test_adjustments import NOW, after

LABELS = ["Dog", "Cat", "Owl"]
CLASSES = [ClassSettings(0.5, 0.3, cooldown=7), ClassSettings(0.8, 0.8), None]


def of(*commands: Command) -> Effect:
    return effect(after(*commands).of("mic"), LABELS, CLASSES, NOW)


def test_labels_are_muted_and_thresholds_moved() -> None:
    found = of(
        Command("mic", "report", "Dog", False),
        Command("mic", "snooze", "Cat", 60.0),
        Command("mic", "threshold", "Dog", 0.25),
        Command("mic", "threshold", "Cat", 0.9),
    )
    assert found.why_muted == ""
    assert found.muted == {0, 1}
    assert found.settings == {0: ClassSettings(0.25, 0.15, cooldown=7), 1: ClassSettings(0.9, 0.8)}


def test_what_is_not_reported_or_not_there_has_no_effect() -> None:
    nothing = of(
        Command("mic", "threshold", "Owl", 0.9),
        Command("mic", "report", "Owl", False),
        Command("mic", "report", "Tuba", False),
        Command("yard", "listen", None, False),
    )
    assert nothing == Effect()


@pytest.mark.usefixtures("utc")
def test_a_source_says_why_it_is_muted() -> None:
    assert of(Command("mic", "snooze", None, 1_800.0)).why_muted == "snoozed until 08:30"  # 2027-01-15 08:00 UTC
    assert of(Command("mic", "snooze", None, 86_400.0)).why_muted == "snoozed until 2027-01-16 08:00"
    assert of(Command("mic", "listen", None, False), Command("mic", "snooze", None, 60.0)).why_muted == "switched off"
    assert clock_time(NOW + 19 * 3600, NOW) == "03:00"


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_events_end_below_where_they_begin_whatever_is_set(one: float, other: float, on: float) -> None:
    configured = ClassSettings(max(one, other), min(one, other))
    settings = with_threshold(configured, on)
    assert settings.on == on
    assert 0 < settings.off <= on
    assert settings.off <= configured.off
    if on >= configured.on:
        assert settings.off == configured.off


def test_what_moved_is_told_and_so_is_what_went_back() -> None:
    low, high = of(Command("mic", "threshold", "Dog", 0.25)), of(Command("mic", "threshold", "Cat", 0.9))
    assert list(low.moved(Effect(), CLASSES)) == [(0, ClassSettings(0.25, 0.15, cooldown=7))]
    assert list(high.moved(low, CLASSES)) == [(0, CLASSES[0]), (1, ClassSettings(0.9, 0.8))]
    assert list(high.moved(high, CLASSES)) == []
    assert list(high.moved(high, CLASSES, again=True)) == [(1, ClassSettings(0.9, 0.8))]
    assert list(Effect().moved(low, CLASSES, again=True)) == [(0, CLASSES[0])]


def test_what_is_told_has_what_differs_of_labels_that_are_there() -> None:
    adjustments = after(
        Command("mic", "threshold", "Dog", 0.25),
        Command("mic", "snooze", "Cat", 60.0),
        Command("mic", "report", "Tuba", False),
        Command("mic", "snooze", None, 60.0),
    )
    told = json.loads(report("hall", "mic", adjustments.of("mic"), LABELS).to_json())
    until = "2027-01-15T08:01:00.000Z"
    assert told == {
        "schema": 1,
        "device": "hall",
        "source": "mic",
        "listen": True,
        "snoozed_until": until,
        "labels": {
            "Dog": {"threshold": 0.25, "report": True, "snoozed_until": None},
            "Cat": {"threshold": None, "report": True, "snoozed_until": until},
        },
    }
    assert report("hall", "mic", AS_CONFIGURED, LABELS).labels == {}


def test_names_that_mean_nothing_are_named() -> None:
    adjustments = obeyed(after(Command("mic", "report", "Tuba", False)), Command("attic", "listen", None, False), NOW)
    assert list(strangers(adjustments, ["mic", "yard"], LABELS)) == [
        "'Tuba' of mic, which the model does not have",
        "source 'attic', which is not configured",
    ]
    assert list(strangers(NOTHING, ["mic"], LABELS)) == []
