"""fp16 and int8 models of a bundle: made from its ONNX file, measured on real audio, added where their gate lets them.

The bundle is rewritten beside itself and then put in its place: it is never half of one and half of the other.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.build import refuse_damaged
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import MODEL, Bundle, load_bundle, sha256, write_manifest
from asit_edge.model.golden import (
    GOLDEN,
    LEAST_SPREAD,
    Deviation,
    deviation,
    golden_deviation,
    golden_inputs,
    golden_scores,
    logits_of,
)
from asit_edge.model.variant import Gate, Variant
from export.audio import Audio, only_label, samples_for
from export.card import CARD, model_card
from export.options import LOWER, Lower
from export.precisions.calibration import calibration_inputs
from export.precisions.fp16 import to_fp16, widened
from export.precisions.gate import LIMITS, Decisions, active_decisions, compare, decisions_on, judge
from export.precisions.graph import kept_nodes, load, local_errors
from export.precisions.int8 import to_int8

CALIBRATION = 64
"""Runs of the model that calibrate int8: enough for the largest values to be seen, few enough for minutes."""

LAYERS_JUDGED_ON = 4
"""Runs of the model by which layers are compared."""


MIN_ACTIVE = 3
"""Decisions in which a label must be active, in the audio that judges, to be checked by it."""
NAMED = 12
"""Labels that a message names at most."""


@dataclass(frozen=True)
class Made:
    """A variant that was made, before anyone decided whether to keep it."""

    precision: Lower
    file: Path
    golden: Deviation
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
        if self.gate.unchecked:
            lines.append(f"  never active, so not checked: {'; '.join(self.gate.unchecked)}")
        return "\n".join(lines)


class Reference(NamedTuple):
    """What the fp32 model decides on the audio that judges, and on the golden inputs."""

    heard: Decisions
    golden: Decisions
    unchecked: list[str]
    """Labels that are active in neither."""

    @property
    def all(self) -> Decisions:
        return Decisions([*self.heard.scores, *self.golden.scores])


def hear(bundle: Bundle, audio: Audio, unheard: bool) -> Reference:
    """What variants are compared with. `unheard`: go on without labels that are never active.

    Raises AsitEdgeError if the fp32 model does not give the bundle's golden scores, WrongUse where the audio, with the
    golden inputs, cannot tell whether a label still works.
    """
    whole = bundle.at("fp32")
    classifier, spec = open_classifier(whole), bundle.manifest.front_end
    refuse_damaged(whole, "fp32", classifier)
    heard = decisions_on(classifier, spec, [samples_for(recording, spec) for recording in audio.judging])
    golden = Decisions(list(golden_scores(classifier, golden_inputs(bundle))))
    counts = active_decisions(heard, bundle.manifest)
    labels = [label.name for label in bundle.manifest.labels]
    same = logits_of(heard.all).std(axis=0).max() < LEAST_SPREAD
    if same or counts.sum() < MIN_ACTIVE:
        raise WrongUse(
            f"--data {audio.name}: to the model all of it sounds the same, so it judges nothing; give recordings of "
            "sounds that the model knows"
            if same
            else f"--data {audio.name}: labels are active in {counts.sum()} of its {len(heard.all)} decisions "
            f"(on_threshold; {MIN_ACTIVE} are needed), so it judges nothing; give recordings of sounds that the model "
            "knows"
        )
    missing = (counts < MIN_ACTIVE) & (active_decisions(golden, bundle.manifest) == 0)
    unchecked = [name for name, lacks in zip(labels, missing, strict=True) if lacks]
    if unchecked and not unheard:
        named = "; ".join(unchecked[:NAMED]) + (f" and {len(unchecked) - NAMED} more" if len(unchecked) > NAMED else "")
        raise WrongUse(
            f"--data {audio.name}: {len(unchecked)} of {len(labels)} labels are active neither in it ({MIN_ACTIVE} "
            f"decisions) nor in the golden inputs, so nobody would notice if a variant no longer heard them: {named}. "
            "Give recordings of them, make other golden inputs (python -m export.golden), or go on without: --unheard"
        )
    return Reference(heard, golden, unchecked)


def make(
    bundle: Bundle,
    precision: Lower,
    audio: Audio,
    expected: Reference,
    limits: Mapping[str, float],
    folder: Path,
    keep: Sequence[str] = (),
) -> Made:
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
        to_int8(source, examples, file, kept_nodes(reference, keep))
        runs = file
    layers = local_errors(reference, load(runs), examples[:: max(len(examples) // LAYERS_JUDGED_ON, 1)])
    recordings = [samples_for(recording, spec) for recording in audio.judging]
    labels = [*(only_label(recording) for recording in audio.judging), *[None] * len(expected.golden.scores)]
    lowered = bundle.with_model(runs)
    try:
        classifier = open_classifier(lowered)
        again = list(golden_scores(classifier, golden_inputs(bundle)))
        actual = Decisions([*decisions_on(classifier, spec, recordings).scores, *again])
        golden = (
            golden_deviation(lowered, classifier)
            if GOLDEN in bundle.manifest.files
            else deviation(expected.golden.all, np.concatenate(again))
        )
    except AsitEdgeError as error:  # it does not even score silence as it should: say where that comes from
        worst = max(layers, key=lambda name: layers[name])
        raise AsitEdgeError(
            f"{precision}: {error}; the layer that lost most is {worst} ({layers[worst]:.2g})"
        ) from None
    seconds = sum(map(len, recordings)) / spec.sample_rate
    data = (
        f"{audio.name}: {len(recordings)} recordings, {seconds:.0f} s, {len(expected.heard.all)} decisions, and "
        f"{len(expected.golden.all)} on golden inputs"
    )
    measured = compare(expected.all, actual, bundle.manifest, labels)
    gate = judge(precision, data, measured, limits, layers, expected.unchecked)
    return Made(precision, file, golden, gate, layers)


def add_variants(bundle: Bundle, made: Sequence[Made], leave_out: bool = False) -> Bundle:
    """Puts variants into a bundle on disk, files, manifest and card; returns it as loaded again.

    `leave_out`: of fp16 all but the file, which `export.precisions.left_out` makes again.
    """
    work = bundle.path.with_name(bundle.path.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(bundle.path, work)
    try:
        files, variants = dict(bundle.manifest.files), dict(bundle.manifest.variants)
        for one in made:
            apart = leave_out and one.precision == "fp16"
            files.pop(one.file.name, None)
            (work / one.file.name).unlink(missing_ok=True)
            if not apart:
                shutil.copy(one.file, work / one.file.name)
                files[one.file.name] = sha256(one.file)
            variants[one.precision] = Variant(
                file=one.file.name,
                sha256=sha256(one.file) if apart else None,
                made_from=files[MODEL],
                golden_error=one.golden.error,
                golden_label_error=one.golden.label_error,
                gate=one.gate,
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
    path: Path,
    precisions: Sequence[Lower],
    audio: Audio,
    limits: Mapping[str, float],
    force: bool,
    unheard: bool = False,
    keep: Sequence[str] = (),
    leave_out: bool = False,
) -> list[Made]:
    """Makes, judges and adds variants to a bundle.

    `keep`: layers that int8 leaves in float32, by a part of their names; `leave_out` as in `add_variants`.

    Those that pass are added even if another fails or cannot be made; with `force` all that can be made are. Raises
    AsitEdgeError, with the reports, if any is not added: it says which were, and which were not and why.
    """
    bundle = load_bundle(path)
    expected = hear(bundle, audio, unheard)
    made: list[Made] = []
    refused: dict[Lower, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for precision in precisions:
            try:
                one = make(bundle, precision, audio, expected, limits, Path(scratch), keep)
            except AsitEdgeError as error:
                refused[precision] = f"{precision}: cannot be made: {error}"
                continue
            if force or one.gate.passed:
                made.append(one)
            else:
                refused[precision] = one.report()
        if made:
            add_variants(bundle, made, leave_out)
    if refused:
        written = f"{', '.join(one.precision for one in made)} written, " if made else ""
        force_helps = "; --force writes what fails its gate" if not force else ""
        reports = "\n".join([*(one.report() for one in made), *refused.values()])
        raise AsitEdgeError(f"{path}: {written}{', '.join(refused)} not written{force_helps}\n{reports}")
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
