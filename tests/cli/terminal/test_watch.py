"""What an onlooker keeps of the listening, and what the foot of a terminal makes of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from asit_edge.cli.terminal.event_line import Style
from asit_edge.cli.terminal.meter import foot, heading, meter
from asit_edge.cli.terminal.watch import Moment, Score, Seen, Watch
from asit_edge.messages.event import Event
from asit_edge.messages.report import Status
from asit_edge.model.bundle import BundleLabel, Manifest, WindowModel
from asit_edge.model.frontend import FrontEnd
from tests.cli.terminal.test_event_line import event

STYLE = Style(lambda epoch: "14:03:22")
NAMES = ("Dog", "Cat", "Speech")


def manifest() -> Manifest:
    labels = [BundleLabel(name=name, id=name, on_threshold=0.5, off_threshold=0.3) for name in NAMES]
    return Manifest(
        name="m",
        version="1",
        license="MIT",
        labels=labels,
        front_end=FrontEnd(),
        model=WindowModel(frames=64, interval=16),
        files={"model.onnx": "0" * 64},
    )


def thresholds(_: Manifest) -> Mapping[str, Sequence[float | None]]:
    return {"": [0.5, 0.5, None], "yard": [0.9, None, None]}


def watching(ended: list[Event] | None = None) -> Watch:
    watch = Watch(thresholds, (ended if ended is not None else []).append, ["mic"])
    watch.know(manifest())
    return watch


def status(state: str, **values: object) -> Status:
    content = {"schema": 1, "device": "hall", "source": "mic", "state": state, "since": "2026-05-01T14:03:22.000Z"}
    return Status.model_validate({**content, **values})


def test_levels_are_those_of_what_is_heard() -> None:
    watch = watching()
    sine = np.sin(np.arange(16_000) / 10).astype(np.float32)
    watch.heard("mic", 100.0, 0.1 * sine, 16_000)
    seen = watch.moment().sources["mic"]
    assert seen.dbfs == pytest.approx(-20, abs=0.1)
    assert seen.until == pytest.approx(101)
    assert watch.moment().heard == pytest.approx(1)


def test_scores_are_of_labels_that_the_source_reports_highest_first() -> None:
    watch = watching()
    scores = np.array([[0.1, 0.7, 0.99], [0.4, 0.2, 0.9]], np.float32)
    watch.scored("mic", 100.0, scores)
    watch.scored("yard", 100.0, scores)
    sources = watch.moment().sources
    assert [(one.label, round(one.score, 2), one.alarms) for one in sources["mic"].scores] == [
        ("Cat", 0.7, True),
        ("Dog", 0.4, False),
    ]
    assert [(one.label, one.alarms) for one in sources["yard"].scores] == [("Dog", False)]


def test_a_threshold_that_is_changed_counts_from_then_on() -> None:
    watch = watching()
    watch.threshold("mic", "Dog", 0.3)
    watch.threshold("mic", "no such label", 0.3)
    scores = np.array([[0.4, 0.0, 0.0]], np.float32)
    watch.scored("mic", 100.0, scores)
    watch.scored("hall", 100.0, scores)
    sources = watch.moment().sources
    assert sources["mic"].scores[0].alarms
    assert not sources["hall"].scores[0].alarms


def test_events_go_on_until_they_end_and_updates_change_them_in_place() -> None:
    ended: list[Event] = []
    watch = watching(ended)
    watch.events("mic", [event(kind="new", id="a"), event("Cat", kind="new", id="b", onset_epoch=1.0)])
    watch.events("mic", [event(kind="update", id="a", peak=0.95)])
    assert [(one.id, one.peak) for one in watch.moment().going_on] == [("b", 0.86), ("a", 0.95)]
    assert ended == []
    watch.events("mic", [event(id="a")])
    assert [one.id for one in watch.moment().going_on] == ["b"]
    assert [one.id for one in ended] == ["a"]
    assert watch.moment().begun == 2


def test_what_goes_on_in_another_event_counts_once() -> None:
    watch = watching()
    watch.events("mic", [event(kind="new", id="a"), event(id="a"), event(kind="new", id="b", continues="a")])
    assert watch.tally.labels == {"Dog": 1}


def test_of_a_source_that_does_not_listen_nothing_is_shown_but_its_state() -> None:
    watch = watching()
    watch.heard("mic", 100.0, np.full(160, 0.5, np.float32), 16_000)
    watch.scored("mic", 100.0, np.array([[0.9, 0, 0]], np.float32))
    watch.status(status("lost", detail="no such device", gaps=1))
    moment = watch.moment()
    assert moment.sources["mic"] == Seen("lost", "no such device", until=moment.sources["mic"].until)
    assert moment.gaps == 1


def test_the_summary_has_what_the_source_says_in_the_end() -> None:
    watch = watching()
    for _ in range(130):
        watch.heard("mic", 100.0, np.zeros(16_000, np.float32), 16_000)
    assert watch.tally.summary() == "heard 2 min 10 s, no gaps; no events"
    watch.events("mic", [event(label, kind="new", id=label) for label in "abcdefg"])
    watch.events("mic", [event("Dog, big", kind="new", id=str(number)) for number in range(3)])
    watch.status(status("stopped", heard=128.5, lost=3.25, gaps=2))
    assert (
        watch.tally.summary()
        == "heard 2 min 8 s, 2 gaps (3.2 s); 10 events: Dog, big 3 · a 1 · b 1 · c 1 · d 1 · others 3"
    )


def seen(*names: str) -> dict[str, Seen]:
    scores = (Score("Dog", 0.92, True), Score("Speech", 0.06, False))
    return {name: Seen("listening", "", -35.0, scores) for name in names}


def test_a_source_has_a_level_and_its_highest_scores() -> None:
    level, scores = meter(seen("microphone"), 79, 10)
    assert level.plain == "microphone  ███████████████░░░░░░░░░░░░░░░  -35 dB"
    assert scores.plain.split() == ["Dog", "████▌", "0.92", "Speech", "▌░░░░", "0.06"]


def test_a_state_stands_beside_the_level() -> None:
    sources = {"mic": Seen("silent_device", "switched off?"), "hall": Seen("listening", "overloaded: audio waits")}
    lines = [line.plain for line in meter(sources, 79, 2)]
    assert lines[0].endswith("- dB  silent device  switched off?")
    assert lines[1].endswith("- dB  overloaded: audio waits")


def test_many_sources_get_less_room_each() -> None:
    names = [f"source{number}" for number in range(20)]
    assert len(meter(seen(*names[:3]), 79, 6)) == 6
    assert len(meter(seen(*names[:4]), 79, 6)) == 4
    lines = [line.plain for line in meter(seen(*names), 79, 6)]
    assert len(lines) == 6
    assert lines[-1] == "and 15 more sources"


@pytest.mark.parametrize("width", [1, 10, 39, 59, 79, 200])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 23])
def test_the_foot_fits_every_terminal(width: int, most: int) -> None:
    going_on = [event(kind="new", id=str(number)) for number in range(30)]
    moment = Moment(seen("microphone", "hall"), going_on, 30, 12.0, 1)
    lines = foot(moment, "0:12 · 30 events", width, most, STYLE, 1777644300.0)
    assert 1 <= len(lines) <= most
    if width >= 39:
        assert all(line.cell_len <= width for line in lines)
    if most == 23:
        assert any("more go on" in line.plain for line in lines)


def test_the_heading_is_a_rule() -> None:
    assert heading("0:12", 20).plain == "── 0:12 ────────────"
