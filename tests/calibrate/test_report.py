"""What a person is shown of a calibration."""

import json

from asit_edge.calibrate.choice import Outcome
from asit_edge.calibrate.report import Report, configured_labels
from asit_edge.config.root import Config

RAISED = Outcome("Dog", (0.5, 0.3), (0.8, 0.632), events=12, a_day=1.0)
SILENCED = Outcome("Cat", (0.5, 0.3), (0.7, 0.5), events=30, a_day=0.0)
SAME = Outcome("Rain", (0.5, 0.3), (0.5, 0.3), events=0, a_day=0.0)
ALWAYS = Outcome("Fan", (0.5, 0.3), (0.999, 0.998), events=400, a_day=48.0)
SET = Outcome("Bell", (0.5, 0.3), (0.5, 0.3), events=20, a_day=20.0)


def report(*outcomes: Outcome, hours: float = 24.0, configured: tuple[str, ...] = ()) -> Report:
    return Report("sources", ["hall"], hours, hours, 1.0, outcomes, configured)


def test_labels_that_changed_the_loudest_first() -> None:
    assert report(RAISED, SILENCED, SAME).lines()[:6] == [
        "heard 24.0 h of hall; wanted: at most 1 a day of each label",
        "",
        "label  on              off             events before  a day then",
        "Cat    0.500 -> 0.700  0.300 -> 0.500  30             under 3",
        "Dog    0.500 -> 0.800  0.300 -> 0.632  12             1",
        "",
    ]


def test_how_little_is_known_of_what_was_not_heard() -> None:
    [line] = report(SAME, hours=24.0).lines()[2:]
    assert line == (
        "what was not heard in this time may still come up to 3 times a day (95 %): to know of 1 a day takes 72 h"
    )
    assert report(SAME, hours=72.0).lines()[1:] == ["no threshold has to be raised"]


def test_labels_that_would_have_to_be_made_deaf_are_said() -> None:
    lines = [line for line in report(ALWAYS, RAISED, hours=72.0).lines() if line.startswith("Fan:")]
    assert lines == [
        "Fan: still 48 a day at 0.999, and no threshold leaves less; to be deaf to it, name the labels to report in "
        "events.only without it, or mute it in events.quiet_hours"
    ]


def test_labels_that_the_configuration_sets_are_raised_there() -> None:
    values = {
        "sources": [
            {"type": "microphone", "name": "hall"},
            {"type": "microphone", "name": "yard", "events": {"labels": {"Bell": {"on_threshold": 0.5}}}},
        ],
        "events": {"labels": {"Dog": {"on_threshold": 0.7}, "Cat": {"min_duration": 1}}},
    }
    assert configured_labels(Config.model_validate(values)) == {"Bell", "Dog"}
    assert (
        "Bell: 20 a day; the configuration sets its on_threshold, raise it there"
        in report(SET, configured=("Bell",)).lines()
    )


def test_the_same_as_json() -> None:
    content = json.loads(report(RAISED, ALWAYS, SET, SAME, configured=("Bell",)).to_json("/var/lib/calibration.yaml"))
    assert content["heard"] == ["hall"]
    assert (content["hours"], content["alarms_per_day"], content["known_below"]) == (24.0, 1.0, 3.0)
    assert content["written"] == "/var/lib/calibration.yaml"
    assert content["labels"][1] == {
        "label": "Dog",
        "before": {"on": 0.5, "off": 0.3},
        "after": {"on": 0.8, "off": 0.632},
        "events": 12,
        "a_day": 1.0,
    }
    assert [(one["label"], one["configured"]) for one in content["too_often"]] == [("Fan", False), ("Bell", True)]


def test_a_short_time_is_told_in_minutes_and_many_recordings_by_their_number() -> None:
    [first, *_] = Report("recordings", ["a.wav", "b.wav"], 0.025, 0.025, 2.0, [SAME]).lines()
    assert first == "heard 1.5 min of 2 recordings; wanted: at most 2 a day of each label"
