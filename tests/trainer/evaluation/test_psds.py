"""PSDS against numbers of sed_scores_eval (`scripts/make-psds-reference`) and cases worked out by hand."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from asit_edge.detect.hysteresis import ClassSettings
from tests.conftest import ROOT
from trainer.data.recording import TrueEvent
from trainer.evaluation.detection import Timeline, collar_f1, track
from trainer.evaluation.psds import PSDS1, PSDS2, PsdsSettings, psds

REFERENCE = json.loads((ROOT / "tests" / "data" / "psds_reference.json").read_text(encoding="utf-8"))


def recordings(case: dict[str, Any]) -> tuple[list[Timeline], list[list[TrueEvent]]]:
    lines, truth = [], []
    for recording in case["recordings"]:
        scores = np.array(recording["scores"])
        lines.append(Timeline(np.arange(len(scores) + 1) * REFERENCE["step"], scores))
        truth.append([TrueEvent(*event) for event in recording["events"]])
    return lines, truth


@pytest.mark.parametrize("case", REFERENCE["cases"])
@pytest.mark.parametrize(("name", "settings"), [("psds1", PSDS1), ("psds2", PSDS2)])
def test_it_gives_the_numbers_of_sed_scores_eval(case: dict[str, Any], name: str, settings: PsdsSettings) -> None:
    score, alone = psds(*recordings(case), case["classes"], replace(settings, most=REFERENCE["most"]))
    assert score == pytest.approx(case[name][0], abs=1e-9)
    assert alone == pytest.approx(case[name][1], abs=1e-9)
    assert max(alone) > 0.05  # else the case would not tell much


@pytest.mark.parametrize("case", REFERENCE["cases"])
def test_event_f1_of_bare_thresholds_is_that_of_sed_scores_eval(case: dict[str, Any]) -> None:
    lines, truth = recordings(case)
    # sed_scores_eval detects above the threshold, the tracker at it.
    settings = [ClassSettings(on=0.5 + 1e-6, off=0.5 + 1e-6)] * case["classes"]
    heard = [track(line, settings, 100) for line in lines]
    assert collar_f1(heard, truth, case["classes"]) == pytest.approx(case["collar_f1_at_half"], abs=1e-9)


def line(*scores: float) -> Timeline:
    return Timeline(np.arange(len(scores) + 1, dtype=float), np.array(scores)[:, None])


def test_a_perfect_detector_has_one_and_a_deaf_one_nothing() -> None:
    truth = [[TrueEvent(1, 3, 0)]]
    assert psds([line(0.1, 0.9, 0.9, 0.1)], truth, 1, PSDS1)[0] == pytest.approx(1.0)
    # Nothing but one threshold, at which the whole recording is one detection: 2 of 4 s is less than 70 %.
    assert psds([line(0.5, 0.5, 0.5, 0.5)], truth, 1, PSDS1)[0] == 0.0


def test_a_false_alarm_that_outranks_the_event_costs_its_rate() -> None:
    # An hour; the false alarm comes at a lower threshold than nothing else: found only from 1 alarm an hour on.
    timeline = Timeline(np.array([0.0, 1000.0, 1010.0, 2000.0, 3600.0]), np.array([[0.9], [0.1], [0.5], [0.0]]))
    score, _ = psds([timeline], [[TrueEvent(1010, 2000, 0)]], 1, replace(PSDS1, most=10.0))
    assert score == pytest.approx((10 - 1) / 10)


def test_a_false_alarm_on_another_class_is_a_cross_trigger() -> None:
    scores = np.array([[0.9, 0.9], [0.0, 0.0], [0.0, 0.0]])
    timeline = Timeline(np.array([0.0, 900.0, 1800.0, 3600.0]), scores)
    truth = [[TrueEvent(0, 900, 0), TrueEvent(1800, 2700, 1)]]
    settings = replace(PSDS2, instability=0.0, most=10.0)
    _, alone = psds([timeline], truth, 2, settings)
    assert alone[0] == pytest.approx(1.0)
    # Class 1 at 0.9: one false alarm an hour, and one cross-trigger in 900 s of class 0 (4 an hour, halved).
    # At 0.0 the whole hour is one detection, a quarter of it right: found, no false alarm.
    assert alone[1] == pytest.approx(1.0)


def test_classes_that_never_occur_take_no_part() -> None:
    scores = np.array([[0.9, 0.9], [0.1, 0.2]])
    timeline = Timeline(np.array([0.0, 1.0, 2.0]), scores)
    score, alone = psds([timeline], [[TrueEvent(0, 1, 0)]], 2, PSDS1)
    assert score == pytest.approx(1.0)
    assert math.isnan(alone[1])
    assert math.isnan(psds([timeline], [[]], 2, PSDS1)[0])


def test_a_class_that_the_model_does_not_have_is_never_found() -> None:
    truth = [[TrueEvent(0.0, 1.0, 0), TrueEvent(1.0, 2.0, 1)]]
    scores = np.array([[0.9, -1.0], [0.1, -1.0]])
    both, alone = psds([Timeline(np.array([0.0, 1.0, 2.0]), scores)], truth, 2, replace(PSDS2, instability=0.0))
    assert alone == [pytest.approx(1.0), 0.0]
    assert both == pytest.approx(0.5)
    everything = np.zeros((2, 2))
    assert psds([Timeline(np.array([0.0, 1.0, 2.0]), everything)], truth, 2, PSDS2)[1] == [1.0, 1.0], "0 is a score"
