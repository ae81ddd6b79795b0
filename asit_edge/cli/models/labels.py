"""`asit-edge labels`."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.cli.terminal.look import look_at
from asit_edge.errors import AsitEdgeError, WrongUse, decodable, readable

if TYPE_CHECKING:
    from asit_edge.cli.models.known import Known
    from asit_edge.config.root import Config
    from asit_edge.model.bundle import Bundle
    from asit_edge.teach.overlay import TaughtSound

COLUMNS = ("label", "on", "off", "from", "", "AP", "missed", "false/h", "sounds")


def labels(
    text: Annotated[
        str, typer.Argument(help="Only labels that have this in their name.", autocompletion=completion.labels)
    ] = "",
    config: ConfigOption = None,
    model: ModelOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not reported.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One label a line, as JSON.")] = False,
) -> None:
    """Show what a bundle knows: thresholds in force and who has set them, what is experimental or taught, how good."""
    from asit_edge.calibrate.file import calibration_file, calibration_for
    from asit_edge.cli.models.known import chosen_labels, known_labels
    from asit_edge.model.bundle import find_bundle, load_bundle

    settings = load_settings(config, model)
    bundle = load_bundle(find_bundle(settings.model))
    calibration = calibration_for(bundle.manifest)
    calibrated_in = decodable(calibration_file()) if calibration else ""
    known = known_labels(bundle.manifest, settings, calibration, calibrated_in, _taught(bundle))
    found = chosen_labels(known, text, everything=everything)
    if not found and text:
        raise WrongUse(
            f"{bundle.manifest.name} has no label with {text!r} in its name; asit-edge labels --all lists them"
        )
    if as_json:
        for one in found:
            print(json.dumps(one.to_json(), ensure_ascii=False))
        return
    rows = [_row(one) for one in found]
    if look_at(sys.stdout).colours:
        from asit_edge.cli.models.tables import label_table, show

        show(label_table(COLUMNS, rows, [one.name for one in found]))
    else:
        _print_plainly(rows)
    if not text and len(found) < len(known):
        print(f"{len(found)} of {len(known)} labels are reported; --all shows the others too", file=sys.stderr)
    if adjusted := _adjusted(settings):
        names = readable(", ".join(adjusted))
        print(f"adjusted since, and not shown here: {names}; asit-edge set show says how", file=sys.stderr)


def _taught(bundle: "Bundle") -> "list[TaughtSound]":
    """What is used of it with this model."""
    from asit_edge.labels import slug
    from asit_edge.model.key import model_key
    from asit_edge.teach.shelf import Shelf
    from asit_edge.teach.space import can_be_taught

    if not can_be_taught(bundle):
        return []
    key, own = model_key(bundle.manifest).sha256, {slug(label.name) for label in bundle.manifest.labels}
    try:
        sounds = list(Shelf().sounds())
    except AsitEdgeError:  # nowhere to keep any
        return []
    used = [one for one in sounds if one.enabled and one.corrects is None and one.model.sha256 == key]
    return [one for one in used if one.slug not in own]


def _adjusted(settings: "Config") -> list[str]:
    """Labels, and sources as a whole, that `asit-edge set`, the page or MQTT has changed."""
    from asit_edge.adjust.file import adjustments_file

    try:
        sources = adjustments_file(settings).read().sources
    except AsitEdgeError:  # nothing can be kept, or it is damaged: whoever listens says so
        return []
    labels = {label for source in sources.values() for label in source.labels}
    return sorted(labels) + sorted(name for name, source in sources.items() if source.snooze or not source.listen)


def _row(one: "Known") -> tuple[str, ...]:
    on, off = one.thresholds
    own = ", ".join(f"{name} {pair[0]:g}" if pair else f"not {name}" for name, pair in one.sources.items())
    state = "taught" if one.taught else "experimental" if one.experimental else ""
    state = ", ".join(filter(None, [state, "" if one.reported else "not reported"]))
    quality, note = one.quality, one.taught_quality
    figures = ("", "", "", "")
    if quality is not None and quality.sounds:
        measured = f"{quality.average_precision:.2f}", f"{quality.missed:.0%}", f"{quality.false_alarms:.2g}"
        figures = (*measured, str(quality.sounds))
    elif note is not None:
        figures = (f"{note.average_precision:.2f}", "", "", "")
    origin = f"{one.origin} {one.when[:10]}".strip()
    origin = f"{origin} ({own})" if own and one.reported else origin
    return (readable(one.name), _score(on), _score(off), origin, state, *figures)


def _score(value: float) -> str:
    return f"{value:.2f}" if abs(value - round(value, 2)) < 1e-9 else f"{value:.3f}"


def _print_plainly(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
