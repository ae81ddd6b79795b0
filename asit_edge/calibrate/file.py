"""`calibration.yaml` in the state directory: read, written, and given to whoever loads a bundle."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from asit_edge.calibrate.choice import Outcome
from asit_edge.calibrate.record import (
    KEPT,
    Calibration,
    Calibrations,
    brief,
    moved,
    newest,
    without_newest,
)
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.directories import state_directory
from asit_edge.host.files import hand_over, make_folder, write_whole
from asit_edge.model.bundle import Manifest
from asit_edge.model.key import model_key
from asit_edge.validation import explain
from asit_edge.yaml_text import Unreadable, read_yaml

log = logging.getLogger(__name__)

NAME = "calibration.yaml"

MOST = 1 << 22
"""Bytes of the file."""


def calibration_file() -> Path:
    """Where it is, or would be. Raises WrongUse where there is no state directory."""
    return state_directory() / NAME


def read_calibrations(file: Path) -> list[Calibration]:
    """Oldest first; none where there is no file. Raises AsitEdgeError if it is damaged or cannot be read."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
        if len(content) > MOST:
            raise AsitEdgeError(f"{file}: is larger than {MOST >> 20} MB, which no calibration is")
        return Calibrations.model_validate(read_yaml(content.decode("utf-8"))[1]).calibrations
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AsitEdgeError(f"{file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise AsitEdgeError(f"{file}: has a character that is not UTF-8") from None
    except Unreadable as error:
        raise AsitEdgeError(error.of(file)) from None
    except ValidationError as error:
        raise AsitEdgeError(f"{file}: {explain(error, Calibrations)}") from None


def prepare(file: Path) -> None:
    """Sees to it that the file can be written later on. Raises AsitEdgeError if it cannot."""
    try:
        make_folder(file.parent)
    except OSError as error:
        raise AsitEdgeError(
            f"{file.parent}: cannot be made ({error.strerror}), and thresholds are kept there"
        ) from None
    if not os.access(file.parent, os.W_OK):
        raise AsitEdgeError(f"{file.parent}: cannot be written to, and thresholds are kept there")


def keep_calibration(
    file: Path,
    manifest: Manifest,
    when: str,
    heard: list[str],
    hours: float,
    wanted: float,
    changed: Sequence[Outcome],
) -> None:
    """Adds a calibration, which counts from now on; a file that cannot be read is replaced.

    `manifest` has the thresholds that were in force, `wanted` is in alarms a day. Raises AsitEdgeError if it cannot be
    written.
    """
    try:
        before = read_calibrations(file)
    except AsitEdgeError:  # said when the bundle was loaded
        before = []
    new = Calibration(
        bundle=model_key(manifest),
        when=when,
        hours=round(hours, 6),
        heard=brief(heard),
        alarms_per_day=wanted,
        labels=moved(changed, newest(before, manifest)),
    )
    _write(file, [*before, new][-KEPT:])


def take_back(file: Path, manifest: Manifest) -> tuple[Calibration | None, Calibration | None]:
    """Removes the calibration that counts for this bundle; that one, and the one that counts now.

    None and None where there is none. Raises AsitEdgeError if the file is damaged or cannot be written.
    """
    before = read_calibrations(file)
    gone = newest(before, manifest)
    if gone is None:
        return None, None
    left = without_newest(before, manifest)
    _write(file, left)
    return gone, newest(left, manifest)


def _write(file: Path, calibrations: Sequence[Calibration]) -> None:
    content = Calibrations(calibrations=list(calibrations)).model_dump(mode="json")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    write_whole(file, text.encode("utf-8"))
    hand_over(file, file.parent)


def calibration_for(manifest: Manifest) -> Calibration | None:
    """What was calibrated for this bundle on this device. What cannot be used is logged and changes nothing."""
    try:
        file = calibration_file()
    except WrongUse:  # nowhere to keep one
        return None
    try:
        calibrations = read_calibrations(file)
    except AsitEdgeError as error:
        log.warning("%s; thresholds are not calibrated until asit-edge calibrate has written it anew", error)
        return None
    calibration = newest(calibrations, manifest)
    if calibration is None:
        if calibrations:
            other = calibrations[-1].bundle
            log.info(
                "%s: is for %s %s, not for this %s %s, and not used; asit-edge calibrate makes one for it",
                *(file, other.name, other.version, manifest.name, manifest.version),
            )
        return None
    log.info("thresholds of %d labels calibrated on %s", len(calibration.labels), calibration.when)
    return calibration
