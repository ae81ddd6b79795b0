"""`python -m export.bundle CKPT OUT`: a fine-tuned checkpoint becomes a model bundle that a device can trust.

The bundle is written beside OUT and moved there when everything has been checked: OUT is never half a bundle.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from pydantic import ValidationError

from asit_edge.bundle import MODEL, BundleLabel, Manifest, WindowModel, load_bundle, sha256, write_manifest
from asit_edge.classifier import OnnxWindows
from asit_edge.errors import WrongUse, one_line
from asit_edge.validation import explain
from export.card import model_card
from export.onnx import export_onnx, parity
from trainer.checkpoint import load_classifier
from trainer.command import run
from trainer.finetune_config import FinetuneConfig
from trainer.scoring import DECISION_FRAMES, OFF, ON, TorchWindows, decision_steps

GOLDEN = "golden.npz"
CARD = "README.md"


def write_bundle(
    checkpoint: Path,
    out: Path,
    name: str,
    version: str,
    license_name: str,
    facts: dict[str, Any],
    on: float,
    off: float,
) -> Manifest:
    """Exports, compares, writes and loads the bundle once; returns its manifest.

    `facts` may have `training` and `metrics`, which are added to what the checkpoint records, and `thresholds`,
    label to [on, off]. Raises AsitEdgeError if ONNX and torch differ.
    """
    model, config, labels, record = load_classifier(checkpoint)
    thresholds = {**record.get("thresholds", {}), **facts.get("thresholds", {})}
    if unknown := set(thresholds) - {label.name for label in labels}:
        raise WrongUse(f"thresholds: the checkpoint has no label {min(unknown)!r}")
    work = out.with_name(out.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        export_onnx(model, config, work / MODEL)
        windows = golden_windows(config)
        steps = decision_steps(config)
        parity(model, work / MODEL, windows, steps)
        np.savez_compressed(work / GOLDEN, log_mel=windows, scores=TorchWindows(model, steps).score(windows))
        bundle_labels = []
        for label in labels:
            starts, ends = thresholds.get(label.name, (on, off))
            bundle_labels.append(BundleLabel(name=label.name, id=label.id, on_threshold=starts, off_threshold=ends))
        manifest = Manifest(
            name=name,
            version=version,
            license=license_name,
            labels=bundle_labels,
            front_end=config.spec,
            model=WindowModel(frames=config.frames, interval=DECISION_FRAMES, steps=steps),
            files={file: sha256(work / file) for file in (MODEL, GOLDEN)},
            training={**_known(record), **_run_facts(config), **facts.get("training", {})},
            metrics=facts.get("metrics", {}),
        )
        (work / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_manifest(work, manifest)
        OnnxWindows(load_bundle(work))
        if out.exists():
            shutil.rmtree(out)
        work.rename(out)
    except ValidationError as error:
        raise WrongUse(f"the manifest would not be valid: {explain(error, Manifest)}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest


def _known(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None and key not in ("thresholds", "tested_on")}


def _run_facts(config: FinetuneConfig) -> dict[str, Any]:
    return {"size": config.size, "steps": config.steps, "batch": config.batch, "seed": config.seed}


def golden_windows(config: FinetuneConfig) -> np.ndarray:
    """Windows to compare backends on: silence, and noise and tones of many levels; shape (8, frames, mels)."""
    from asit_edge.frontend import log_mel
    from trainer.crops import coloured_noise

    rng = np.random.default_rng(0)
    length = config.spec.samples_for(config.frames)
    time = np.arange(length) / config.spec.sample_rate
    waveforms: list[np.ndarray] = [np.zeros(length)]
    for level in (0.001, 0.03, 0.5):
        waveforms.append(level * coloured_noise(length, float(rng.uniform(0, 2)), rng))
        pulses = np.sin(2 * np.pi * rng.uniform(200, 4000) * time) * (np.sin(2 * np.pi * 3 * time) > 0)
        waveforms.append(level * pulses)
    waveforms.append(0.1 * coloured_noise(length, 1.0, rng) * np.linspace(0, 1, length))
    return np.stack([log_mel(config.spec, waveform.astype(np.float32)) for waveform in waveforms])


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune.")],
    out: Annotated[Path, typer.Argument(help="Directory of the bundle; an existing bundle is replaced.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: that of the directory.")] = None,
    version: Annotated[str, typer.Option()] = "0.1.0",
    license_name: Annotated[str, typer.Option("--license", help="Licence of the weights, SPDX.")] = "Apache-2.0",
    facts: Annotated[
        Path | None,
        typer.Option(help="YAML with training, metrics and thresholds, for manifest and model card."),
    ] = None,
    on: Annotated[float, typer.Option(help="Score at which an event starts, where the checkpoint does not say.")] = ON,
    off: Annotated[float, typer.Option(help="Score below which it ends, where the checkpoint does not say.")] = OFF,
) -> None:
    """Make a model bundle from a checkpoint; nothing is written unless ONNX computes what the checkpoint does."""
    if out.exists() and not (out / "bundle.yaml").is_file():
        raise WrongUse(f"{out}: exists and is not a bundle; name a new directory")
    try:
        extra = yaml.safe_load(facts.read_text(encoding="utf-8")) if facts else {}
    except (OSError, yaml.YAMLError) as error:
        raise WrongUse(f"--facts {facts}: {one_line(error)}") from None
    manifest = write_bundle(checkpoint, out, name or out.name, version, license_name, extra or {}, on, off)
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"wrote {out}: {manifest.name} {manifest.version}, {len(manifest.labels)} labels, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run("export.bundle", main)
