"""`calibration.yaml`: what is kept, for which bundle it counts, how it is taken back; it never stops anybody."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.calibrate.choice import Outcome
from asit_edge.calibrate.file import (
    calibration_file,
    calibration_for,
    keep_calibration,
    prepare,
    read_calibrations,
    take_back,
)
from asit_edge.calibrate.record import KEPT, NAMED, calibrated
from asit_edge.errors import AsitEdgeError
from asit_edge.model.bundle import Manifest
from tests.calibrate.test_ladder import manifest_of

MANIFEST = manifest_of((0.5, 0.3), (0.6, 0.4))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "asit-edge"


def keep(
    label: str,
    before: tuple[float, float],
    after: tuple[float, float],
    manifest: Manifest = MANIFEST,
    when: str = "2026-05-01T00:00:00.000Z",
    heard: tuple[str, ...] = ("microphone",),
) -> None:
    outcome = Outcome(label, before, after, events=9, a_day=0)
    keep_calibration(calibration_file(), manifest, when, list(heard), 24.0, 1.0, [outcome])


def in_force(manifest: Manifest = MANIFEST) -> list[tuple[float, float]]:
    calibration = calibration_for(manifest)
    labels = (calibrated(manifest, calibration) if calibration else manifest).labels
    return [(label.on_threshold, label.off_threshold) for label in labels]


def test_what_is_kept_is_in_force_and_said_once(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep("A", (0.5, 0.3), (0.9, 0.8))
    with caplog.at_level(logging.INFO):
        assert in_force() == [(0.9, 0.8), (0.6, 0.4)]
    assert caplog.messages == ["thresholds of 1 labels calibrated on 2026-05-01T00:00:00.000Z"]
    assert (state / "calibration.yaml").stat().st_mode & 0o777 == 0o600
    [kept] = read_calibrations(calibration_file())
    assert (kept.bundle.name, kept.bundle.version, kept.bundle.sha256) == ("letters", "1.0", "0" * 64)
    assert (kept.hours, kept.heard, kept.alarms_per_day) == (24.0, ["microphone"], 1.0)
    assert (kept.labels["A"].before, kept.labels["A"].after) == ((0.5, 0.3), (0.9, 0.8))


def test_nothing_kept_changes_nothing_and_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert in_force() == [(0.5, 0.3), (0.6, 0.4)]
    assert caplog.messages == []


def test_a_second_one_keeps_what_the_first_has_set_and_both_are_taken_back_one_by_one() -> None:
    keep("A", (0.5, 0.3), (0.9, 0.8), when="first")
    keep("B", (0.6, 0.4), (0.7, 0.5), when="second")
    assert in_force() == [(0.9, 0.8), (0.7, 0.5)]
    gone, left = take_back(calibration_file(), MANIFEST)
    assert gone
    assert left
    assert (gone.when, left.when) == ("second", "first")
    assert in_force() == [(0.9, 0.8), (0.6, 0.4)]
    gone, left = take_back(calibration_file(), MANIFEST)
    assert gone
    assert gone.when == "first"
    assert left is None
    assert in_force() == [(0.5, 0.3), (0.6, 0.4)]
    assert take_back(calibration_file(), MANIFEST) == (None, None)


OTHERS = [{"name": "others"}, {"version": "1.1"}, {"files": {"model.onnx": "1" * 64}}]


@pytest.mark.parametrize("differs", OTHERS, ids=lambda differs: next(iter(differs)))
def test_that_of_another_bundle_is_said_and_not_used(
    differs: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    other = MANIFEST.model_copy(update=differs)
    keep("A", (0.5, 0.3), (0.9, 0.8), other)
    with caplog.at_level(logging.INFO):
        assert in_force() == [(0.5, 0.3), (0.6, 0.4)]
    [line] = caplog.messages
    assert "not for this letters 1.0, and not used; asit-edge calibrate makes one" in line
    assert take_back(calibration_file(), MANIFEST) == (None, None)
    keep("B", (0.6, 0.4), (0.7, 0.5))
    assert in_force() == [(0.5, 0.3), (0.7, 0.5)]
    assert in_force(other) == [(0.9, 0.8), (0.6, 0.4)], "each bundle has its own"


DAMAGED = [
    (b"calibrations: [", "calibration.yaml:1: not valid YAML"),
    (b"\xff\xfe", "not UTF-8"),
    (b"42", "calibration.yaml"),
    (b"", "calibration.yaml"),
    (b"schema_version: 9\n", "schema_version"),
    (b"schema_version: 1\ncalibrations: [{when: now}]\n", "calibrations[0]"),
    (b"#" * (1 << 22) + b"###", "larger than 4 MB"),
]


@pytest.mark.parametrize(("content", "said"), DAMAGED, ids=[said for _, said in DAMAGED])
def test_a_damaged_file_is_said_in_one_line_and_not_used(
    state: Path, content: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    state.mkdir()
    (state / "calibration.yaml").write_bytes(content)
    with caplog.at_level(logging.INFO):
        assert in_force() == [(0.5, 0.3), (0.6, 0.4)]
    [line] = caplog.messages
    assert said in line
    assert "\n" not in line
    assert "not calibrated until asit-edge calibrate has written it anew" in line
    with pytest.raises(AsitEdgeError, match="calibration.yaml"):
        take_back(calibration_file(), MANIFEST)
    keep("A", (0.5, 0.3), (0.9, 0.8))
    assert in_force() == [(0.9, 0.8), (0.6, 0.4)]


@given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 600))
def test_whatever_becomes_of_the_file_a_bundle_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, begin: int, end: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        keep("A", (0.5, 0.3), (0.9, 0.8))
        file = calibration_file()
        content = file.read_bytes()
        file.write_bytes(content[:begin] + noise + content[end:])
        for on, off in in_force():
            assert 0 < off <= on < 1


@pytest.mark.parametrize(
    "after", [[0.4, 0.6], [1.5, 0.5], [0.9, 0], [0.4, 0.3], [float("nan"), 0.1], ["high", "low"], [0.9]]
)
def test_thresholds_that_cannot_be_are_not_used(after: list[object]) -> None:
    keep("A", (0.5, 0.3), (0.9, 0.8))
    file = calibration_file()
    text = file.read_text(encoding="utf-8")
    new = "\n".join(f"      - {str(one).replace('nan', '.nan')}" for one in after)
    changed = text.replace("      - 0.9\n      - 0.8", new)
    assert changed != text
    file.write_text(changed, encoding="utf-8")
    assert in_force() == [(0.5, 0.3), (0.6, 0.4)]


def test_so_many_are_kept_and_of_a_thousand_recordings_the_first_names() -> None:
    for number in range(KEPT + 2):
        keep("A", (0.5, 0.3), (0.9, 0.8), when=str(number), heard=tuple(f"{one}.wav" for one in range(1_000)))
    kept = read_calibrations(calibration_file())
    assert [one.when for one in kept] == [str(number) for number in range(2, KEPT + 2)]
    assert kept[0].heard == [*(f"{one}.wav" for one in range(NAMED)), "and 990 more"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may give files away")
def test_what_root_writes_for_a_service_belongs_to_its_user(state: Path) -> None:
    state.mkdir()
    os.chown(state, 12_345, 12_346)
    keep("A", (0.5, 0.3), (0.9, 0.8))
    written = calibration_file().stat()
    assert (written.st_uid, written.st_gid) == (12_345, 12_346)


def test_no_state_directory_is_no_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError

    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert in_force() == [(0.5, 0.3), (0.6, 0.4)]


def test_a_state_directory_that_cannot_be_is_told_beforehand(state: Path) -> None:
    state.write_text("a file", encoding="utf-8")
    with pytest.raises(AsitEdgeError, match=r"asit-edge: cannot be made .*, and thresholds are kept there"):
        prepare(calibration_file())
    assert in_force() == [(0.5, 0.3), (0.6, 0.4)]
