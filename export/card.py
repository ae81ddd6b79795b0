"""The model card (`README.md`) of a bundle, made from its manifest: what it is, knows, was trained on, and reaches.

With its metadata block the bundle is a folder that a model hub takes as it is.
"""

import re
from typing import Any

import yaml

from asit_edge.model.bundle import MODEL, Manifest, StreamModel
from asit_edge.model.front_ends import AnyFrontEnd, Waveform
from asit_edge.teach.space import NEGATIVES

CARD = "README.md"
NOTICE = "NOTICE"
ADOPTED = "adopted_from"
"""Key of a manifest's `training` under which a model that others trained says whose it is."""

OF_SCENES = frozenset({"labels_reported", "mean_step_average_precision"})
"""Metrics that `trainer.thresholds` measures on scenes, not on the data that `metrics` names."""

CITATION = """@article{atito2022asit,
  title={{ASiT}: Local-Global Audio Spectrogram vIsion Transformer for Event Classification},
  author={Atito, Sara and Awais, Muhammad and Wang, Wenwu and Plumbley, Mark D. and Kittler, Josef},
  journal={arXiv preprint arXiv:2211.13189},
  year={2022}
}"""


def model_card(manifest: Manifest) -> str:
    """Markdown with the metadata block that model hubs read."""
    training = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in manifest.training.items())
    metrics = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in manifest.metrics.items())
    return f"""---
{yaml.safe_dump(_metadata(manifest), sort_keys=False, allow_unicode=True, width=110).rstrip()}
---
# {manifest.name} {manifest.version}

{_introduction(manifest)}

{_manner(manifest)} and gives an independent probability for each of {len(manifest.labels)} classes.
It hears {manifest.front_end.sample_rate} Hz mono as {_frames(manifest.front_end)}.

    asit-edge model verify THIS_FOLDER      # does it compute here what it computed in the lab?
    asit-edge listen --model THIS_FOLDER

## Classes
{_labels(manifest)}

## Files
{_files(manifest)}

## Training
{training or "- not recorded"}

The weights may be used under {manifest.license}{_notice(manifest)}.

## Measured
{metrics or "- not measured"}
{_variants(manifest)}
## Limits
It knows the classes above and nothing else; other sounds can be taken for one of them. Thresholds suit clear, near
sounds: try them on recordings from the place of use (`asit-edge replay`). Not for safety or medical purposes.

## Citation
{_citation(manifest)}
"""


def _introduction(manifest: Manifest) -> str:
    if ADOPTED in manifest.training:
        return (
            f"A sound event detector of others, in a bundle to be used with `asit-edge`: {manifest.training[ADOPTED]}."
        )
    return f"""A sound event detector for small devices: {_kind(manifest)} after ASiT (Atito et al.,
[arXiv 2211.13189](https://arxiv.org/abs/2211.13189)), to be used with `asit-edge`."""


def _citation(manifest: Manifest) -> str:
    if ADOPTED in manifest.training:
        return f"Whoever uses the model in research should cite those who made it: {manifest.training[ADOPTED]}."
    return f"""The method is ASiT's; whoever uses the model in research should cite it:

```bibtex
{CITATION}
```"""


def _frames(spec: AnyFrontEnd) -> str:
    if isinstance(spec, Waveform):
        return "a waveform; its front end is part of the model"
    return f"frames of {spec.mels} mel bins"


def _kind(manifest: Manifest) -> str:
    begun = manifest.training.get("begun_with")
    if begun:
        return f"the convolutions of {begun}, made to stream, under a causal transformer on their features"
    return "a vision transformer on log-mel spectrograms"


def _labels(manifest: Manifest) -> str:
    """A table of the classes, with what is known of how well each is told."""
    measured = any(label.quality for label in manifest.labels)
    head = ["AudioSet name", "id", "event starts at", "event ends below"]
    head += ["sounds measured", "average precision", "missed", "false alarms an hour"] if measured else []
    rows = []
    for label in manifest.labels:
        name = f"{label.name} (experimental)" if label.experimental else label.name
        cells = [name, f"`{label.id}`", f"{label.on_threshold:g}", f"{label.off_threshold:g}"]
        if label.quality is not None:
            found = label.quality
            cells += [str(found.sounds), f"{found.average_precision:.2f}", f"{found.missed:.0%}"]
            cells += [f"{found.false_alarms:.2f}"]
        rows.append("| " + " | ".join(cells + [""] * (len(head) - len(cells))) + " |")
    told = "\n\nExperimental classes are reported only where the configuration names them." if measured else ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *rows]) + told


def _notice(manifest: Manifest) -> str:
    return ", with the notices and attributions in `NOTICE` beside them" if NOTICE in manifest.files else ""


def _metadata(manifest: Manifest) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "license": manifest.license.lower(),
        "library_name": "asit-edge",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "sound-event-detection", "audioset", "onnx", "tensorrt", "edge"],
    }
    if ADOPTED not in manifest.training:
        metadata["tags"].append("arxiv:2211.13189")
    results = [
        {"type": _metric_type(name), "name": name.replace("_", " "), "value": value}
        for name, value in manifest.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in OF_SCENES
    ]
    data = str(manifest.metrics.get("data") or "").strip()
    if results and data:
        dataset = {"name": data, "type": re.sub(r"[^a-z0-9]+", "-", data.lower()).strip("-")[:60]}
        task = {"type": "audio-classification"}
        metadata["model-index"] = [
            {"name": manifest.name, "results": [{"task": task, "dataset": dataset, "metrics": results}]}
        ]
    return metadata


def _metric_type(name: str) -> str:
    return "accuracy" if "accuracy" in name.lower() else re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _manner(manifest: Manifest) -> str:
    frame = manifest.front_end.hop / manifest.front_end.sample_rate
    shape = manifest.model
    if isinstance(shape, StreamModel):
        chunk, step = shape.frames * frame, shape.frames / shape.steps * frame
        return (
            f"It hears sound in chunks of {chunk:.2f} s, each once, remembers the past, decides for every {step:.2f} s"
        )
    seconds = manifest.front_end.samples_for(shape.frames) / manifest.front_end.sample_rate
    return f"It looks at the last {seconds:.2f} s of sound every {shape.interval * frame:.2f} s"


def _files(manifest: Manifest) -> str:
    known = {
        MODEL: "the model, float32, ONNX" + ("" if ADOPTED in manifest.training else " opset 18"),
        "initial.npz": "what its caches hold after silence",
        "golden.npz": "inputs and the scores that they must give",
        "golden-sounds.md": "whose recordings those inputs were made from, and their licence",
        NEGATIVES: "directions of other sounds, against which sounds are taught; embeddings only, no audio",
        NOTICE: "licences and attributions of what it begins with and has learnt from",
        **{
            variant.file: f"the same in {name}, {'passed' if variant.gate.passed else 'FAILED'} its gate"
            for name, variant in manifest.variants.items()
        },
    }
    lines = [f"- `{name}`: {known.get(name, 'part of the bundle')}" for name in manifest.files]
    lines += [
        f"- `{one.file}`, made on the device by `python -m export.variants THIS_FOLDER`: {known[one.file]}"
        for one in manifest.variants.values()
        if one.sha256 is not None
    ]
    return "\n".join(lines)


def _variants(manifest: Manifest) -> str:
    if not manifest.variants:
        return ""
    keys = list(dict.fromkeys(key for variant in manifest.variants.values() for key in variant.gate.measured))
    head = " | ".join(key.replace("_", " ") for key in keys)
    rows = []
    for name, variant in manifest.variants.items():
        gate = variant.gate
        cells = [f"{gate.measured[key]:.5f} (<= {gate.limits[key]:g})" if key in gate.measured else "" for key in keys]
        rows.append(f"| {name} | {' | '.join(cells)} | {gate.worst_layer} |")
    audio = "; ".join(dict.fromkeys(variant.gate.data for variant in manifest.variants.values()))
    table = "\n".join(rows)
    return f"""
### Other precisions
What they lose against float32, and what they may lose, on real audio ({audio}):

| | {head} | layer that loses most |
|---|{"---|" * len(keys)}---|
{table}
"""
