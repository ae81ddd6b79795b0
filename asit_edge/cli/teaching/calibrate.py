"""`asit-edge calibrate`."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings, stop_on_signals
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse, decodable, readable

if TYPE_CHECKING:
    from asit_edge.assembly import Model
    from asit_edge.calibrate.choice import Tally
    from asit_edge.model.bundle import Manifest

log = logging.getLogger(__name__)

HOURS, LONGEST = 24.0, 31 * 24.0
"""How long is listened where nothing else is said, and at most."""

NEXT_START = "a running listener uses them from its next start"


def calibrate(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Recordings of an ordinary day; without them, listen.")
    ] = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    hours: Annotated[float | None, typer.Option(help="How long to listen.", show_default=f"{HOURS:g}")] = None,
    alarms_per_day: Annotated[float, typer.Option(help="What each label may raise at most.")] = 1.0,
    undo: Annotated[bool, typer.Option("--undo", help="Take the last calibration back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Hear a day on which nothing should alarm, and raise thresholds until (almost) nothing would have."""
    if undo and (files or hours is not None or dry_run):
        raise WrongUse("--undo takes the last calibration back; it goes without files, --hours and --dry-run")
    if files and hours is not None:
        raise WrongUse("FILE and --hours exclude each other: recordings are heard to their end")
    if not 0 < alarms_per_day < math.inf:
        raise WrongUse(f"--alarms-per-day {alarms_per_day:g}: must be a number above 0, such as 1")
    if hours is not None and not 0 < hours <= LONGEST:
        raise WrongUse(f"--hours {hours:g}: must be above 0 and at most {LONGEST:g}")
    settings = load_settings(config, model)
    if undo:
        _take_back(settings, as_json)
    else:
        _calibrate(settings, files or [], hours or HOURS, alarms_per_day, as_json, keep=not dry_run)


def _calibrate(settings: Config, files: list[Path], hours: float, wanted: float, as_json: bool, *, keep: bool) -> None:
    from asit_edge.assembly import load_model
    from asit_edge.audio.clock import iso
    from asit_edge.calibrate.choice import outcomes
    from asit_edge.calibrate.file import calibration_file, keep_calibration, prepare
    from asit_edge.calibrate.ladder import ladder
    from asit_edge.calibrate.report import Report, configured_labels

    loaded = load_model(settings)
    file = calibration_file()
    if keep:
        prepare(file)  # now, not after a day
    steps = ladder(loaded.manifest)
    heard, tallies = _count(settings, loaded, steps, files, hours)
    total, shortest = sum(one.hours for one in tallies), min(one.hours for one in tallies)
    found = outcomes(steps, tallies, wanted)
    report = Report(
        "recordings" if files else "sources", heard, total, shortest, wanted, found, configured_labels(settings)
    )
    written = keep and bool(report.changed)
    if written:
        keep_calibration(file, loaded.manifest, iso(time.time()), heard, total, wanted, report.changed)
    if as_json:
        print(report.to_json(decodable(file) if written else None))
        return
    print("\n".join(report.lines()))
    if written:
        print(f"thresholds written to {readable(file)}; {NEXT_START}, asit-edge calibrate --undo takes them back")


def _count(
    settings: Config, model: "Model", steps: "list[Manifest]", files: list[Path], hours: float
) -> "tuple[list[str], list[Tally]]":
    """What was heard, and what was counted in it. Raises AsitEdgeError if nothing was heard."""
    from asit_edge.assembly import open_source
    from asit_edge.audio.clock import SystemClock
    from asit_edge.listen.calibration import count_files, count_sources, together

    stopping = stop_on_signals()
    with _progress() as progress:
        if files:
            tallies = count_files(files, settings, model, steps, stopping.is_set, progress)
        else:
            sources = [open_source(entry, model.manifest.front_end.sample_rate) for entry in settings.sources]
            until = hours * 3600, SystemClock(), stopping.is_set, stopping.wait
            tallies = count_sources(settings, model, steps, sources, *until, progress)
    if stopping.is_set():
        log.warning("stopped before its time; what was heard until then is used")
    return [decodable(one.source) for one in tallies], [together(tallies)] if files else tallies


def _take_back(settings: Config, as_json: bool) -> None:
    from asit_edge.calibrate.file import calibration_file, take_back
    from asit_edge.model.bundle import find_bundle, load_bundle

    file, manifest = calibration_file(), load_bundle(find_bundle(settings.model)).manifest
    gone, left = take_back(file, manifest)
    if gone is None:
        raise AsitEdgeError(f"nothing to undo: {file} has no calibration of {manifest.name} {manifest.version}")
    if as_json:
        print(json.dumps({"undone": gone.when, "in_force": left.when if left else None}))
        return
    now = f"those that were calibrated on {left.when}" if left else "the bundle's"
    print(f"the calibration of {gone.when} is taken back: thresholds are {now}; {NEXT_START}")


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """What is to be told how much is done, from 0 to 1: a bar in a terminal, a line of the log a tenth elsewhere."""
    if sys.stderr.isatty():
        with typer.progressbar(length=1000, label="hearing", file=sys.stderr) as bar:
            yield lambda share: bar.update(int(share * 1000) - bar.pos) if int(share * 1000) > bar.pos else None
        return
    tenths = 0

    def tell(share: float) -> None:
        nonlocal tenths
        if int(share * 10) > tenths:
            tenths = int(share * 10)
            log.info("%d %% heard", 10 * tenths)

    yield tell
