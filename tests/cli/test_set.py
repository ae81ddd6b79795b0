"""`asit-edge set`: what is typed, what is said, what is kept."""

import json
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from asit_edge.adjust.file import AdjustmentsFile
from asit_edge.cli.app import app
from asit_edge.errors import AsitEdgeError, WrongUse

runner = CliRunner()


class Typed:
    """A device with two sources, and what its owner types."""

    def __init__(self, folder: Path, model: Path, **config: object) -> None:
        self._config = folder / "config.yaml"
        sources = [{"type": "stdin", "name": "mic"}, {"type": "file", "name": "yard", "path": "yard.wav"}]
        settings = {"device": "hall", "model": str(model), "sources": sources, **config}
        settings["store"] = {"path": str(folder / "state" / "events.db")}
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self.file = AdjustmentsFile(folder / "state" / "adjustments.yaml")

    def __call__(self, *arguments: str) -> str:
        """What it prints. Raises what it raises."""
        done = runner.invoke(app, ["set", *arguments, "--config", str(self._config)], catch_exceptions=False)
        if isinstance(done.exception, AsitEdgeError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def shown(self) -> dict[str, dict[str, object]]:
        return {one["source"]: one for one in map(json.loads, self("show", "--json").splitlines())}


@pytest.fixture
def typed(tmp_path: Path, tone_bundle: Path) -> Typed:
    return Typed(tmp_path, tone_bundle)


def test_a_threshold_is_set_for_all_sources_or_one_and_taken_back(typed: Typed) -> None:
    said = typed("threshold", "low_tone", "0.25")
    assert said.splitlines() == [
        "mic, Low tone: events begin at 0.25",
        "yard, Low tone: events begin at 0.25",
        "a listener that runs knows it within a second",
    ]
    typed("threshold", "Low tone", "0.75", "--source", "yard")
    assert typed("show").splitlines() == [
        "mic: adjusted",
        "  Low tone: threshold 0.25 instead of 0.5",
        "yard: adjusted",
        "  Low tone: threshold 0.75 instead of 0.5",
    ]
    assert "mic, Low tone: events begin at 0.5, as configured" in typed("threshold", "Low tone", "default")
    assert typed("show").splitlines() == ["mic: as configured", "yard: as configured"]


@pytest.mark.usefixtures("utc")
def test_labels_and_sources_are_switched_and_snoozed(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asit_edge.cli.adjusting.set.time.time", lambda: 1_800_000_000.0)  # 08:00
    assert "mic, High tone: is not reported" in typed("report", "High tone", "off", "--source", "mic")
    assert "yard: snoozed until 08:30" in typed("snooze", "30m", "-s", "yard")
    assert "mic, High tone: snoozed until 2027-01-17 08:00" in typed("snooze", "2d", "-l", "High tone")
    assert typed("show").splitlines() == [
        "mic: adjusted",
        "  High tone: not reported, snoozed until 2027-01-17 08:00",
        "yard: snoozed until 08:30",
        "  High tone: snoozed until 2027-01-17 08:00",
    ]
    assert typed.shown()["yard"]["snoozed_until"] == "2027-01-15T08:30:00.000Z"
    typed("listen", "OFF", "--source", "yard")
    typed("report", "High tone", "on")
    assert typed("show").splitlines() == ["mic: as configured", "yard: switched off"]
    typed("snooze", "10s")
    assert typed("snooze", "off", "--source", "mic").splitlines()[0] == "mic: not snoozed any more"
    monkeypatch.setattr("asit_edge.cli.adjusting.set.time.time", lambda: 1_800_000_010.0)
    typed("listen", "on")
    assert all(one["listen"] and one["snoozed_until"] is None for one in typed.shown().values())


def test_a_snooze_that_is_over_is_not_shown(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    typed("snooze", "1m")
    assert typed.shown()["mic"]["snoozed_until"]
    later = 60 + time.time()
    monkeypatch.setattr("asit_edge.cli.adjusting.set.time.time", lambda: later)
    assert typed.shown()["mic"]["snoozed_until"] is None


def test_reset_goes_back_in_part_or_altogether(typed: Typed) -> None:
    typed("threshold", "Low tone", "0.25")
    typed("report", "High tone", "off")
    typed("listen", "off", "--source", "mic")
    assert typed("reset", "--label", "low_tone", "--source", "mic").splitlines()[0] == "as configured again"
    shown = typed.shown()
    assert set(shown["mic"]["labels"]) == {"High tone"}  # type: ignore[call-overload]
    assert set(shown["yard"]["labels"]) == {"Low tone", "High tone"}  # type: ignore[call-overload]
    assert not shown["mic"]["listen"]
    typed("reset", "--source", "mic")
    assert typed("show").splitlines()[0] == "mic: as configured"
    assert typed("reset").splitlines()[0] == "as configured again"
    assert typed("reset").splitlines() == ["nothing of that was adjusted"]
    assert typed("show").splitlines() == ["mic: as configured", "yard: as configured"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("threshold", "Lo tone", "0.5"), "no label 'Lo tone' (did you mean 'Low tone'?)"),
        (("threshold", "Low tone", "1"), "threshold '1': must be a number from 0.001 to 0.999, or default"),
        (("threshold", "Low tone", "nan"), "must be a number from 0.001 to 0.999"),
        (("threshold", "Low tone", "loud"), "must be a number from 0.001 to 0.999"),
        (("threshold", "Low tone", "0.5", "-s", "yart"), "no source 'yart' (did you mean 'yard'?)"),
        (("report", "Low tone", "maybe"), "'maybe': must be on or off"),
        (("report", "Hi tone", "off"), "(did you mean 'High tone'?)"),
        (("snooze", "30"), "snooze '30': must be a time such as 30m, 2h or 1d, at most 7d"),
        (("snooze", "8d"), "at most 7d"),
        (("snooze", "0.1s"), "must be a time"),
        (("snooze", "1h", "-l", "Low"), "no label 'Low'"),
        (("listen", "off", "-s", "mik"), "no source 'mik' (did you mean 'mic'?)"),
        (("reset", "-s", "mik"), "no source 'mik' (did you mean 'mic'?)"),
        (("reset", "-l", "Lo tone"), "no label 'Lo tone' (did you mean 'Low tone'?)"),
    ],
)
def test_what_makes_no_sense_is_told_what_would_be_right(typed: Typed, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(WrongUse) as error:
        typed(*arguments)
    assert said in str(error.value)
    assert not typed.file.path.exists()


def test_a_label_that_is_not_reported_is_said_to_be_configured_first(tmp_path: Path, tone_bundle: Path) -> None:
    own = {"type": "file", "name": "yard", "path": "yard.wav", "events": {"only": ["Low tone"]}}
    typed = Typed(tmp_path, tone_bundle, sources=[{"type": "stdin", "name": "mic"}, own])
    with pytest.raises(WrongUse, match="'High tone' is not reported by yard as configured; name it in events.only"):
        typed("report", "High tone", "off", "--source", "yard")
    assert "yard" not in typed("report", "High tone", "off"), "where it is reported it is switched off"


def test_what_an_earlier_configuration_had_is_named_and_can_be_reset(typed: Typed) -> None:
    typed.file.path.parent.mkdir()
    typed.file.path.write_text("sources: {attic: {listen: false}, mic: {labels: {Tuba: {report: false}}}}\n")
    said = typed("show")
    assert "nothing comes of 'Tuba' of mic, which the model does not have; asit-edge set reset removes it" in said
    assert "nothing comes of source 'attic', which is not configured" in said
    typed("reset", "-l", "Tuba")
    typed("reset", "-s", "attic")
    assert typed.file.read().sources == {}


def test_a_damaged_file_is_named_and_begun_anew(typed: Typed) -> None:
    typed.file.path.parent.mkdir()
    typed.file.path.write_text("sources: {mic: {lisen: false}}\n")
    with pytest.raises(
        AsitEdgeError, match="did you mean 'listen'.*; repair it, or begin anew with asit-edge set reset"
    ):
        typed("show")
    typed("reset")
    assert typed("show").splitlines() == ["mic: as configured", "yard: as configured"]


def test_the_thresholds_of_a_place_are_what_it_goes_back_to(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration lies below an adjustment and above the bundle."""
    from asit_edge import assembly
    from asit_edge.calibrate.record import Calibration, Moved
    from asit_edge.model.bundle import Manifest
    from asit_edge.model.key import model_key

    def calibration(manifest: Manifest) -> Calibration:
        moved = {"Low tone": Moved(before=(0.5, 0.3), after=(0.625, 0.4))}
        return Calibration(bundle=model_key(manifest), when="now", hours=1, heard=[], alarms_per_day=1, labels=moved)

    monkeypatch.setattr(assembly, "calibration_for", calibration)
    typed("threshold", "Low tone", "0.25")
    assert "  Low tone: threshold 0.25 instead of 0.625" in typed("show").splitlines()
    assert "events begin at 0.625, as configured" in typed("threshold", "Low tone", "default")
