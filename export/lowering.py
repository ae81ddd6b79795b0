"""fp16 and int8 models of a bundle: made from its ONNX file, measured on real audio, added where their gate lets them.

The bundle is rewritten beside itself and then put in its place: it is never half of one and half of the other.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import MODEL, Bundle, load_bundle, sha256, write_manifest
from asit_edge.model.golden import golden_error
from asit_edge.model.variant import Gate, Variant
from export.audio import Audio, only_label, samples_for
from export.card import CARD, model_card
from export.precisions.calibration import calibration_inputs
from export.precisions.fp16 import to_fp16, widened
from export.precisions.gate import LIMITS, compare, decisions_on, judge
from export.precisions.graph import load, local_errors
from export.precisions.int8 import to_int8

Lower = Literal["fp16", "int8"]
LOWER: dict[str, Lower] = {"fp16": "fp16", "int8": "int8"}

MOST_CLIPS = 400
"""Recordings that are used unless more are asked for."""

CALIBRATION = 64
"""Runs of the model that calibrate int8: enough for the largest values to be seen, few enough for minutes."""

LAYERS_JUDGED_ON = 4
"""Runs of the model by which layers are compared."""


@dataclass(frozen=True)
class Made:
    """A variant that was made, before anyone decided whether to keep it."""

    precision: Lower
    file: Path
    golden_error: float
    gate: Gate
    layers: dict[str, float]

    def report(self) -> str:
        """Measured against allowed, and the layers that lost most."""
        lines = [f"{self.precision}: {'passed' if self.gate.passed else 'FAILED'} on {self.gate.data}"]
        for name, value in self.gate.measured.items():
            mark = "  <- beyond its limit" if name in self.gate.failures else ""
            lines.append(f"  {name:<15} {value:>10.5f}   allowed {self.gate.limits[name]:g}{mark}")
        ranked = sorted(self.layers.items(), key=lambda item: -item[1])[:3]
        lines.append("  lost most, each for itself: " + ", ".join(f"{name} {error:.2g}" for name, error in ranked))
        return "\n".join(lines)


def make(bundle: Bundle, precision: Lower, audio: Audio, limits: Mapping[str, float], folder: Path) -> Made:
    """Writes the model in that precision into a folder and measures what it lost. Nothing is decided here."""
    reference = load(bundle.at("fp32").model_file)
    spec = bundle.manifest.front_end
    file = folder / f"model.{precision}.onnx"
    examples = calibration_inputs(
        bundle, [samples_for(recording, spec) for recording in audio.calibrating], CALIBRATION
    )
    if precision == "fp16":
        onnx.save(to_fp16(reference), file)
        runs = folder / "model.fp16-rounded.onnx"  # what a GPU computes; see `widened`
        onnx.save(widened(load(file)), runs)
    else:
        source = folder / "model.fp32.onnx"
        onnx.save(reference, source)
        to_int8(source, examples, file)
        runs = file
    layers = local_errors(reference, load(runs), examples[:: max(len(examples) // LAYERS_JUDGED_ON, 1)])
    recordings = [samples_for(recording, spec) for recording in audio.judging]
    labels = [only_label(recording) for recording in audio.judging]
    expected = decisions_on(open_classifier(bundle.at("fp32")), spec, recordings)
    lowered = bundle.with_model(runs)
    try:
        actual = decisions_on(open_classifier(lowered), spec, recordings)
        golden = golden_error(lowered, open_classifier(lowered))
    except AsitEdgeError as error:  # it does not even score silence as it should: say where that comes from
        worst = max(layers, key=lambda name: layers[name])
        raise AsitEdgeError(
            f"{precision}: {error}; the layer that lost most is {worst} ({layers[worst]:.2g})"
        ) from None
    seconds = sum(map(len, recordings)) / spec.sample_rate
    data = f"{audio.name}: {len(recordings)} recordings, {seconds:.0f} s, {len(expected.all)} decisions"
    measured = compare(expected, actual, bundle.manifest, labels)
    return Made(precision, file, golden, judge(precision, data, measured, limits, layers), layers)


def add_variants(bundle: Bundle, made: Sequence[Made]) -> Bundle:
    """Puts variants into a bundle on disk, files, manifest and card; returns it as loaded again."""
    work = bundle.path.with_name(bundle.path.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(bundle.path, work)
    try:
        files, variants = dict(bundle.manifest.files), dict(bundle.manifest.variants)
        for one in made:
            shutil.copy(one.file, work / one.file.name)
            files[one.file.name] = sha256(work / one.file.name)
            variants[one.precision] = Variant(
                file=one.file.name, made_from=files[MODEL], golden_error=one.golden_error, gate=one.gate
            )
        manifest = bundle.manifest.model_copy(update={"files": files, "variants": variants})
        write_manifest(work, manifest)
        (work / CARD).write_text(model_card(manifest), encoding="utf-8")
        load_bundle(work)
        old = bundle.path.with_name(bundle.path.name + ".old")
        shutil.rmtree(old, ignore_errors=True)
        bundle.path.rename(old)
        work.rename(bundle.path)
        shutil.rmtree(old)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return load_bundle(bundle.path)


def write_variants(
    path: Path, precisions: Sequence[Lower], audio: Audio, limits: Mapping[str, float], force: bool
) -> list[Made]:
    """Makes, judges and adds variants to a bundle.

    Those that pass are added even if another fails; with `force` all are. Raises AsitEdgeError, with the report,
    if any failed and was not forced.
    """
    bundle = load_bundle(path)
    with tempfile.TemporaryDirectory() as scratch:
        made = [make(bundle, precision, audio, limits, Path(scratch)) for precision in precisions]
        kept = [one for one in made if force or one.gate.passed]
        if kept:
            add_variants(bundle, kept)
    if refused := [one for one in made if one not in kept]:
        reports = "\n".join(one.report() for one in refused)
        raise AsitEdgeError(
            f"{path}: not written, because the gate was not passed (--force writes it all the same)\n{reports}"
        )
    return made


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """`max_error=0.2` and the like. WrongUse names what is not a limit."""
    known = sorted(set().union(*LIMITS.values()))
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name] = float(value)
        except ValueError:
            raise WrongUse(f"--limit {text!r}: must be NAME=NUMBER") from None
        if name not in known or not np.isfinite(limits[name]):
            raise WrongUse(f"--limit {text!r}: the limits are {', '.join(known)}, and finite")
    return limits


def parse_precisions(names: Sequence[str]) -> list[Lower]:
    """WrongUse names what is no precision of a variant."""
    if unknown := [name for name in names if name not in LOWER]:
        raise WrongUse(f"--precision {unknown[0]!r}: must be fp16 or int8 (fp32 is the bundle's own model)")
    return [LOWER[name] for name in dict.fromkeys(names)]
