"""Checks that find, fail, hang or raise: none ends the examination, and nothing is lost."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from asit_edge.config.root import Config
from asit_edge.doctor.examination import Check, examine
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError

PATIENT = Patient(Config())


def fine(patient: Patient) -> Iterator[Finding]:
    yield Finding("fine", "ok", "one")
    yield Finding("fine", "warning", "two", "that", "this")


def refuses(patient: Patient) -> Iterator[Finding]:
    yield Finding("refuses", "ok", "before")
    raise AsitEdgeError("no password in /a/file")


def breaks(patient: Patient) -> Iterator[Finding]:
    yield Finding("breaks", "ok", "before")
    raise KeyError("nonsense\nof two lines")


def test_what_is_found_comes_in_order_and_what_fails_is_a_finding() -> None:
    begun: list[str] = []
    checks = [Check(look.__name__, 5, look) for look in (fine, refuses, breaks, fine)]
    found = list(examine(PATIENT, checks, begun.append))
    assert begun == ["fine", "refuses", "breaks", "fine"]
    assert [(one.check, one.grade, one.found) for one in found] == [
        ("fine", "ok", "one"),
        ("fine", "warning", "two"),
        ("refuses", "ok", "before"),
        ("refuses", "wrong", "no password in /a/file"),
        ("breaks", "ok", "before"),
        ("breaks", "wrong", "could not be looked at (KeyError: 'nonsense\\nof two lines')"),
        ("fine", "ok", "one"),
        ("fine", "warning", "two"),
    ]


def test_what_hangs_is_left_behind_and_what_it_had_found_is_kept() -> None:
    goes_on = threading.Event()

    def hangs(patient: Patient) -> Iterator[Finding]:
        yield Finding("hangs", "ok", "before")
        goes_on.wait(30)
        yield Finding("hangs", "ok", "too late")

    began = time.monotonic()
    found = list(examine(PATIENT, [Check("hangs", 0.2, hangs), Check("fine", 5, fine)]))
    assert time.monotonic() - began < 3
    goes_on.set()
    assert [(one.grade, one.found) for one in found] == [
        ("ok", "before"),
        ("wrong", "did not come to an end within 0.2 s"),
        ("ok", "one"),
        ("warning", "two"),
    ]


def test_a_finding_is_one_line_of_json_whatever_is_in_it() -> None:
    text = Finding("source \udce9", "wrong", 'line\nbreak "quoted"', "ünïcode").to_json()
    assert "\n" not in text
    text.encode()
    assert json.loads(text) == {
        "check": "source \\xe9",
        "grade": "wrong",
        "found": 'line\nbreak "quoted"',
        "means": "ünïcode",
        "remedy": "",
    }


@pytest.mark.parametrize("count", [0, 3])
def test_no_checks_or_silent_ones_find_nothing(count: int) -> None:
    def nothing(patient: Patient) -> Iterator[Finding]:
        return iter(())

    assert list(examine(PATIENT, [Check("nothing", 5, nothing)] * count)) == []
