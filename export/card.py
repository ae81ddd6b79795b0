"""The model card (`README.md`) of a bundle, made from its manifest: what it is, knows, was trained on, and reaches."""

from asit_edge.bundle import Manifest, StreamModel

CARD = "README.md"


def model_card(manifest: Manifest) -> str:
    """Markdown with the metadata block that model hubs read."""
    spec = manifest.front_end
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

{_manner(manifest)} and gives an independent probability for each of {len(manifest.labels)} classes.
It hears {spec.sample_rate} Hz mono as frames of {spec.mels} mel bins.

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
