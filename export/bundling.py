"""From a checkpoint to a bundle: exported, compared with torch, described, and loaded once before it is put in place.

It is written beside the place where it belongs and moved there when everything has been checked: never half a bundle.
"""

import shutil
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
    INITIAL,
    MODEL,
    BundleLabel,
    Manifest,
    StreamModel,
    WindowModel,
    load_bundle,
    sha256,
    write_manifest,
)
from asit_edge.model.frontend import FrontEnd, log_mel
from asit_edge.model.golden import GOLDEN, golden_scores
from asit_edge.validation import explain
from export.audio import Audio
from export.card import CARD, NOTICE, model_card
from export.conversion import cache_shapes, export_stream, export_windows
from export.parity import TOLERANCE, real_audio_parity, stream_parity, windows_parity
from export.precisions.compact import Bits, pack, round_weights
from trainer.data.mixing import coloured_noise, fitted
from trainer.distillation.synthesis import synthesised
from trainer.finetuning.checkpoint import load_finetuned
from trainer.models.device import StreamStep, TorchStream, stream_of, window_shape
from trainer.models.streaming import StreamingModel
from trainer.run.checkpoint import checkpoint_kind
from trainer.students.student import STUDENT, load_student

ROUNDING: dict[Bits, float] = {16: 5e-3, 8: 0.05}
"""Largest change of a probability, on real audio, that storing weights in so many bits may bring."""
GOLDEN_GRID = np.float32(32)
"""Golden inputs are whole parts of 1 / this: noise with all its digits does not compress."""
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
    Raises AsitEdgeError if ONNX and torch differ, on made sounds or, where it is given, on real audio.
    """
    work = out.with_name(out.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        write = _write_student if checkpoint_kind(checkpoint) == STUDENT else _write_finetuned
        parts = write(checkpoint, work, facts, compact)
        if notice is not None:
            shutil.copy(notice, work / NOTICE)
        if compact is not None:
            onnx.save(pack(onnx.load(str(work / MODEL))), str(work / MODEL))
        thresholds = {**parts.thresholds, **facts.get("thresholds", {})}
        if unknown := set(thresholds) - {label.name for label in parts.labels}:
            raise WrongUse(f"thresholds: the checkpoint has no label {min(unknown)!r}")
        bundle_labels = []
        for label in parts.labels:
            starts, ends = thresholds.get(label.name, (on, off))
            more = facts.get("quality", {}).get(label.name, {})
            bundle_labels.append(
                BundleLabel(name=label.name, id=label.id, on_threshold=starts, off_threshold=ends, **more)
            )
        manifest = Manifest(
            name=name,
            version=version,
            license=license_name,
            labels=bundle_labels,
            front_end=parts.front_end,
            model=parts.model,
            files={file.name: sha256(file) for file in sorted(work.iterdir())},
            training={**parts.training, **facts.get("training", {})},
            metrics=facts.get("metrics", {}),
        )
        (work / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_manifest(work, manifest)
        open_classifier(load_bundle(work))
        if audio is not None:
            real_audio_parity(checkpoint, load_bundle(work), audio, ROUNDING[compact] if compact else TOLERANCE)
        if out.exists():
            shutil.rmtree(out)
        work.rename(out)
    except ValidationError as error:
        raise WrongUse(f"the manifest would not be valid: {explain(error, Manifest)}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


class Parts(NamedTuple):
    """What a manifest says that depends on the kind of model."""

    labels: list[Label]
    front_end: FrontEnd
    model: WindowModel | StreamModel
    training: dict[str, Any]
    thresholds: dict[str, Any]


def _write_finetuned(checkpoint: Path, work: Path, facts: dict[str, Any], compact: Bits | None) -> Parts:
    network, config, labels, record = load_finetuned(checkpoint)
    shape = _write_model(network, config.spec, work, compact)
    size = "stream" if isinstance(shape, StreamModel) else config.size
    run = {"size": size, "steps": config.steps, "batch": config.batch, "seed": config.seed}
    return Parts(labels, config.spec, shape, {**_known(record), **run}, record.get("thresholds", {}))


def _write_student(checkpoint: Path, work: Path, facts: dict[str, Any], compact: Bits | None) -> Parts:
    network, config, labels, record = load_student(checkpoint, facts.get("labels"))
    shape = _write_model(network, config.spec, work, compact)
    run = {"size": config.size, "batch": config.batch, "seed": config.seed, **_known(record)}
    return Parts(labels, config.spec, shape, run, {})


def _write_model(network: nn.Module, spec: FrontEnd, work: Path, compact: Bits | None) -> WindowModel | StreamModel:
    """The files of a network, its weights rounded if they are to be stored in fewer bits; says what it is."""
    if compact is not None:
        round_weights(network, compact)
    stream = stream_of(network)
    return _write_windows(network, spec, work) if stream is None else _write_stream(stream, spec, work)


def _write_windows(network: nn.Module, spec: FrontEnd, work: Path) -> WindowModel:
    """The files of a window model: ONNX and golden windows."""
    shape = window_shape(network)
    export_windows(shape.module, shape.frames, spec.mels, work / MODEL)
    windows = golden_windows(spec, shape.frames)
    windows_parity(shape.module, work / MODEL, windows)
    with torch.inference_mode():
        scores = shape.module(torch.from_numpy(windows)).numpy()
    np.savez_compressed(work / GOLDEN, log_mel=windows, scores=scores)
    return WindowModel(frames=shape.frames, interval=shape.interval, steps=shape.steps)


def _write_stream(model: StreamingModel, spec: FrontEnd, work: Path) -> StreamModel:
    """The files of a streaming model: ONNX, its caches after silence, golden streams and their last scores."""
    device = StreamStep(model)
    export_stream(device, work / MODEL)
    frames = model.config.frames
    streams = golden_windows(spec, -(-GOLDEN_FRAMES // frames) * frames)
    stream_parity(device, work / MODEL, streams)
    silence = [cache[0].numpy() for cache in model.silent_memory()]
    initial: dict[str, Any] = dict(zip(device.cache_names, silence, strict=True))
    np.savez_compressed(work / INITIAL, **initial)
    np.savez_compressed(work / GOLDEN, log_mel=streams, scores=golden_scores(TorchStream(model), streams)[:, -1])
    return StreamModel(frames=frames, steps=model.config.chunk, embedding=device.embedding, caches=cache_shapes(device))


def _known(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None and key not in ("thresholds", "tested_on")}


def golden_windows(spec: FrontEnd, frames: int) -> np.ndarray:
    """Sounds to compare backends on: silence, noise, and alarms that labels answer to; shape (8, frames, mels)."""
    rng = np.random.default_rng(0)
    length = spec.samples_for(frames)
    waveforms: list[np.ndarray] = [np.zeros(length)]
    for level, name in ((0.001, "siren"), (0.03, "smoke_alarm"), (0.5, "siren")):
        waveforms.append(level * coloured_noise(length, float(rng.uniform(0, 2)), rng))
        alarm = synthesised(name, len(waveforms), spec.sample_rate)
        waveforms.append(level * fitted(alarm, length, rng))
    waveforms.append(0.1 * coloured_noise(length, 1.0, rng) * np.linspace(0, 1, length))
    exact = np.stack([log_mel(spec, waveform.astype(np.float32)) for waveform in waveforms])
    return np.round(exact * GOLDEN_GRID) / GOLDEN_GRID
