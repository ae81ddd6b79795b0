"""The model card (`README.md`) of a bundle, made from its manifest: what it is, knows, was trained on, and reaches."""

from asit_edge.bundle import Manifest

CARD = "README.md"


def model_card(manifest: Manifest) -> str:
    """Markdown with the metadata block that model hubs read."""
    spec = manifest.front_end
    seconds = spec.samples_for(manifest.model.frames) / spec.sample_rate
    interval = manifest.model.interval * spec.hop / spec.sample_rate
    labels = "\n".join(
        f"| {label.name} | `{label.id}` | {label.on_threshold:g} | {label.off_threshold:g} |"
        for label in manifest.labels
    )
    training = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in manifest.training.items())
    metrics = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in manifest.metrics.items())
    return f"""---
license: {manifest.license.lower()}
library_name: asit-edge
pipeline_tag: audio-classification
tags: [audio, sound-event-detection, onnx, edge]
---
# {manifest.name} {manifest.version}

A sound event detector for small devices: a vision transformer on log-mel spectrograms after ASiT (Atito et al.,
[arXiv 2211.13189](https://arxiv.org/abs/2211.13189)), to be used with `asit-edge`.

It looks at the last {seconds:.2f} s of sound ({manifest.model.frames} frames of {spec.mels} mel bins at
{spec.sample_rate} Hz) every {interval:.2f} s and gives an independent probability for each of
{len(manifest.labels)} classes.

## Classes
| AudioSet name | id | event starts at | event ends below |
|---|---|---|---|
{labels}

## Training
{training or "- not recorded"}

## Measured
{metrics or "- not measured"}

## Limits
It knows the classes above and nothing else; other sounds can be taken for one of them. Thresholds suit clear, near
sounds: try them on recordings from the place of use (`asit-edge replay`). Not for safety or medical purposes.
"""
