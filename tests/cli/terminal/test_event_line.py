"""One event, one line: readable at any width, and never wider."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from asit_edge.cli.terminal.event_line import Style, bar, colour_of, event_line, position, span
from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import Look
from asit_edge.messages.event import Event, ModelName

STYLE = Style(lambda epoch: "14:03:22")


def event(label: str = "Dog", kind: str = "end", **values: object) -> Event:
    content = {
        "schema": 1,
        "type": kind,
        "id": "6f1c2a9b",
        "device": "hall",
        "source": "microphone",
        "label": label,
        "label_id": "/m/0bt9lr",
        "score": 0.3,
        "peak": 0.86,
        "onset": "2026-05-01T14:03:22.000Z",
        "offset": "2026-05-01T14:03:26.200Z" if kind == "end" else None,
        "duration": 4.2 if kind == "end" else None,
        "onset_epoch": 1777644202.0,
        "latency_ms": 160,
        "seq": 1,
        "replayed": False,
        "clip": None,
        "model": ModelName(name="m", version="1"),
    }
    return Event.model_validate({**content, **values})


def test_it_has_time_bar_label_source_and_duration() -> None:
    text = event_line(event(also=["Bark"]), 90, STYLE).plain
    assert text.split() == ["14:03:22", "████████▌░", "0.86", "Dog", "+", "Bark", "microphone", "4.2", "s"]
    assert text.startswith("  14:03:22")


def test_what_goes_on_says_how_long_it_has() -> None:
    going_on = event(kind="update")
    assert event_line(going_on, 90, STYLE, going_on.onset_epoch + 7).plain.endswith("7.0 s")
    assert event_line(going_on, 90, STYLE, going_on.onset_epoch + 7).plain.startswith("● ")
    assert event_line(event(kind="new"), 90, STYLE).plain.endswith("begins")


def test_in_a_narrow_terminal_time_bar_label_and_duration_stay() -> None:
    text = event_line(event("Baby cry, infant cry"), 39, STYLE).plain
    assert text == "  14:03:22 ███▌ Baby cry, infan…  4.2 s"


def test_a_label_has_one_colour_and_labels_have_several() -> None:
    assert colour_of("Dog") == colour_of("Dog")
    assert len({colour_of(label) for label in ("Dog", "Cat", "Speech", "Bark", "Siren", "Bird", "Door", "Bell")}) > 2


def test_names_cannot_command_the_terminal() -> None:
    text = event_line(event("\x1b[2Jno\nway", source="a\x07b"), 90, STYLE).plain
    assert "\x1b" not in text
    assert r"\x1b[2Jno\nway" in text
    assert r"a\x07b" in text


@given(
    label=st.text(max_size=60),
    also=st.lists(st.text(max_size=20), max_size=3),
    width=st.integers(1, 200),
    peak=st.floats(0, 1),
    duration=st.floats(0, 1e6),
    colours=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(
    label: str, also: list[str], width: int, peak: float, duration: float, colours: bool
) -> None:
    told = event(label, also=also, peak=peak, duration=duration)
    plain = Ink(Look(moves=True, colours=False, encoding="utf-8"))
    shown = plain.render(event_line(told, width, STYLE), width)
    assert cell_len(shown) <= width
    assert "\n" not in shown
    ascii_only = Ink(Look(moves=True, colours=colours, encoding="ANSI_X3.4-1968"))
    bars = ascii_only.render(event_line(event(peak=peak, duration=duration), width, STYLE), width)
    assert bars.isascii()


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "░░░░"), (0.5, "██░░"), (0.6, "██▌░"), (1, "████"), (7, "████"), (-1, "░░░░")]
)
def test_bars_go_by_halves_of_a_column(share: float, shown: str) -> None:
    assert bar(share, 4, "red").plain == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0.0 s"), (99.94, "99.9 s"), (100, "1:40"), (3599, "59:59"), (7260, "2 h 01")]
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_positions_in_a_recording() -> None:
    assert [position(one) for one in (0, 2.56, 61.5, 3661)] == ["00:00.00", "00:02.56", "01:01.50", "01:01:01"]
