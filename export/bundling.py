"""From a checkpoint to a bundle: exported, compared with torch, described, and loaded once before it is put in place.

It is written beside the place where it belongs and moved there when everything has been checked: never half a bundle.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from pydantic import ValidationError
from torch import nn

from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import (
    EMBEDDING,
    INITIAL,
    MANIFEST,
    MODEL,
    BundleLabel,
    Manifest,
    StreamModel,
    WindowModel,
    load_bundle,
    sha256,
    write_manifest,
)
from asit_edge.model.front_ends import AnyFrontEnd, frames_of
from asit_edge.model.frontend import FrontEnd
from asit_edge.model.golden import GOLDEN, golden_answers
from asit_edge.validation import explain
from export.audio import Audio
from export.card import CARD, NOTICE, model_card
from export.conversion import cache_shapes, export_stream, export_windows
from export.parity import TOLERANCE, real_audio_parity, stream_parity, windows_parity
from export.precisions.compact import Bits, pack, round_weights
from trainer.data.mixing import coloured_noise, fitted
from trainer.distillation.synthesis import synthesised
from trainer.evaluation.heard import HEARD
from trainer.finetuning.checkpoint import load_finetuned
from trainer.models.device import StreamStep, TorchStream, stream_of, window_shape
from trainer.models.streaming import StreamingModel
from trainer.run.checkpoint import checkpoint_kind
from trainer.students.student import STUDENT, load_student

ROUNDING: dict[Bits, float] = {16: 5e-3, 8: 0.05}
"""Largest change of a probability, on real audio, that storing weights in so many bits may bring."""
GOLDEN_GRID = np.float32(32)
"""Golden inputs are whole parts of 1 / this: noise with all its digits does not compress."""

ONLY_FOR_THE_LAB = ("thresholds", "tested_on", HEARD)
"""What a checkpoint's record has that does not belong under a manifest's training."""

GOLDEN_FRAMES = 192
"""Length of a golden stream, made up to whole chunks."""


def write_bundle(
    checkpoint: Path,
    out: Path,
    name: str,
    version: str,
    license_name: str,
    facts: dict[str, Any],
    on: float,
    off: float,
    audio: Audio | None = None,
    compact: Bits | None = None,
    notice: Path | None = None,
) -> Manifest:
    """Exports, compares, writes and loads the bundle once; returns its manifest.

    `compact` rounds the weights to so many bits and stores them so; the model computes in float32 all the same.
    `notice` is a file of licences and attributions that travels along.

    `facts` may have `training` and `metrics`, which are added to what the checkpoint records, `thresholds`, label to
    [on, off], `quality`, label to `experimental` and `quality` of its entry in the manifest, and, for a student,
    `labels`, those of its labels that the bundle has (default: all of them).
    Raises WrongUse, before any work, where that makes no manifest, and AsitEdgeError if ONNX and torch differ, on made
    sounds or, where it is given, on real audio.
    """
    plan = plan_bundle(checkpoint, name, version, license_name, facts, on, off)
    with in_place_when_done(out) as work:
        _write_model(plan, work, compact)
        if notice is not None:
            shutil.copy(notice, work / NOTICE)
        if compact is not None:
            onnx.save(pack(onnx.load(str(work / MODEL))), str(work / MODEL))
        manifest = plan.manifest.model_copy(
            update={"files": {file.name: sha256(file) for file in sorted(work.iterdir())}}
        )
        (work / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_manifest(work, manifest)
        open_classifier(load_bundle(work))
        if audio is not None:
            real_audio_parity(checkpoint, load_bundle(work), audio, ROUNDING[compact] if compact else TOLERANCE)
    return manifest


def refuse_foreign(out: Path) -> None:
    """Raises WrongUse where a bundle would replace something else."""
    if out.exists() and not (out / MANIFEST).is_file():
        raise WrongUse(f"{out}: exists and is not a bundle; name a new directory")


@contextmanager
def in_place_when_done(out: Path) -> Iterator[Path]:
    """An empty folder, which takes the place of `out` when all that is done with it has succeeded."""
    work = out.with_name(out.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
        if out.exists():
            shutil.rmtree(out)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class Plan(NamedTuple):
    """A bundle before anything is exported."""

    network: nn.Module
    manifest: Manifest
    """All of it but the hashes of its files."""


def plan_bundle(
    checkpoint: Path, name: str, version: str, license_name: str, facts: dict[str, Any], on: float, off: float
) -> Plan:
    """Loads the checkpoint and describes the bundle, as `write_bundle`; nothing is written.

    Raises WrongUse where that makes no manifest.
    """
    load = _load_student if checkpoint_kind(checkpoint) == STUDENT else _load_finetuned
    loaded = load(checkpoint, facts)
    try:
        manifest = Manifest(
            name=name,
            version=version,
            license=license_name,
            labels=_bundle_labels(loaded, facts, on, off),
            front_end=loaded.front_end,
            model=_shape(loaded.network),
            files=dict.fromkeys([MODEL, INITIAL], ""),
            training={**loaded.training, **facts.get("training", {})},
            metrics=facts.get("metrics", {}),
        )
    except ValidationError as error:
        raise WrongUse(f"the manifest would not be valid: {explain(error, Manifest)}") from None
    return Plan(loaded.network, manifest)


class Loaded(NamedTuple):
    """A checkpoint, and what a manifest says that depends on its kind."""

    network: nn.Module
    labels: list[Label]
    front_end: FrontEnd
    training: dict[str, Any]
    thresholds: dict[str, Any]


def _load_finetuned(checkpoint: Path, facts: dict[str, Any]) -> Loaded:
    network, config, labels, record = load_finetuned(checkpoint)
    size = config.size if stream_of(network) is None else "stream"
    run = {"size": size, "steps": config.steps, "batch": config.batch, "seed": config.seed}
    return Loaded(network, labels, config.spec, {**_known(record), **run}, record.get("thresholds", {}))


def _load_student(checkpoint: Path, facts: dict[str, Any]) -> Loaded:
    network, config, labels, record = load_student(checkpoint, facts.get("labels"))
    run = {"size": config.size, "batch": config.batch, "seed": config.seed, **_known(record)}
    return Loaded(network, labels, config.spec, run, {})


def _known(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None and key not in ONLY_FOR_THE_LAB}


def _bundle_labels(loaded: Loaded, facts: dict[str, Any], on: float, off: float) -> list[BundleLabel]:
    """The checkpoint's labels with thresholds and quality. Raises WrongUse, ValidationError."""
    thresholds = {**loaded.thresholds, **facts.get("thresholds", {})}
    quality = facts.get("quality", {})
    names = {label.name for label in loaded.labels}
    for key, told in (("thresholds", thresholds), ("quality", quality)):
        if unknown := set(told) - names:
            raise WrongUse(f"{key}: the checkpoint has no label {min(unknown)!r}")
    labels = []
    for label in loaded.labels:
        starts, ends = _pair(label.name, thresholds.get(label.name, (on, off)))
        more = quality.get(label.name, {})
        labels.append(BundleLabel(name=label.name, id=label.id, on_threshold=starts, off_threshold=ends, **more))
    return labels


def _pair(label: str, told: Any) -> tuple[float, float]:
    """Raises WrongUse."""
    if not isinstance(told, list | tuple) or len(told) != 2:
        raise WrongUse(f"thresholds.{label}: must be two scores, [on, off], not {told!r}")
    return told[0], told[1]


def _shape(network: nn.Module) -> WindowModel | StreamModel:
    """What a manifest says of a network."""
    stream = stream_of(network)
    if stream is None:
        window = window_shape(network)
        return WindowModel(frames=window.frames, interval=window.interval, steps=window.steps)
    device, config = StreamStep(stream), stream.config
    return StreamModel(
        frames=config.frames, steps=config.chunk, embedding=device.embedding, caches=cache_shapes(device)
    )


def _write_model(plan: Plan, work: Path, compact: Bits | None) -> None:
    """The files of a network, its weights rounded if they are to be stored in fewer bits."""
    if compact is not None:
        round_weights(plan.network, compact)
    stream = stream_of(plan.network)
    if stream is None:
        _write_windows(plan.network, plan.manifest.front_end, work)
    else:
        _write_stream(stream, plan.manifest.front_end, work)


def _write_windows(network: nn.Module, spec: AnyFrontEnd, work: Path) -> None:
    """The files of a window model: ONNX and golden windows."""
    shape = window_shape(network)
    export_windows(shape.module, shape.frames, spec.width, work / MODEL)
    windows = golden_windows(spec, shape.frames)
    windows_parity(shape.module, work / MODEL, windows)
    with torch.inference_mode():
        scores = shape.module(torch.from_numpy(windows)).numpy()
    np.savez_compressed(work / GOLDEN, log_mel=windows, scores=scores)


def _write_stream(model: StreamingModel, spec: AnyFrontEnd, work: Path) -> None:
    """The files of a streaming model: ONNX, its caches after silence, golden streams and their last scores."""
    device = StreamStep(model)
    export_stream(device, work / MODEL)
    frames = model.config.frames
    streams = golden_windows(spec, -(-GOLDEN_FRAMES // frames) * frames)
    stream_parity(device, work / MODEL, streams)
    silence = [cache[0].numpy() for cache in model.silent_memory()]
    initial: dict[str, Any] = dict(zip(device.cache_names, silence, strict=True))
    np.savez_compressed(work / INITIAL, **initial)
    scores, embedded = golden_answers(TorchStream(model), streams)
    golden: dict[str, Any] = {"log_mel": streams, "scores": scores[:, -1], EMBEDDING: embedded}
    np.savez_compressed(work / GOLDEN, **golden)


def golden_windows(spec: AnyFrontEnd, frames: int) -> np.ndarray:
    """Sounds to compare backends on: silence, noise, and alarms that labels answer to; shape (8, frames, width)."""
    rng = np.random.default_rng(0)
    length = spec.samples_for(frames)
    waveforms: list[np.ndarray] = [np.zeros(length)]
    for level, name in ((0.001, "siren"), (0.03, "smoke_alarm"), (0.5, "siren")):
        waveforms.append(level * coloured_noise(length, float(rng.uniform(0, 2)), rng))
        alarm = synthesised(name, len(waveforms), spec.sample_rate)
        waveforms.append(level * fitted(alarm, length, rng))
    waveforms.append(0.1 * coloured_noise(length, 1.0, rng) * np.linspace(0, 1, length))
    exact = np.stack([frames_of(spec, waveform.astype(np.float32)) for waveform in waveforms])
    return np.round(exact * GOLDEN_GRID) / GOLDEN_GRID
