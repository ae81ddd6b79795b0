"""What a model is given while it listens: the inputs of its graph, taken from real audio."""

from collections.abc import Sequence

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.model.backends.onnx import OnnxStream
from asit_edge.model.bundle import Bundle, StreamModel, WindowModel
from asit_edge.model.front_ends import AnyFrontEnd, frames_of
from asit_edge.model.frontend import Frames
from export.precisions.graph import Tensors


def calibration_inputs(bundle: Bundle, recordings: Sequence[Samples], most: int) -> list[Tensors]:
    """At most that many inputs of one run each, evenly taken from recordings at the front end's rate.

    Those of a streaming model have the caches that the fp32 model had left behind by then.
    """
    front_end, shape = bundle.manifest.front_end, bundle.manifest.model
    heard = [_framed(front_end, samples, shape.frames) for samples in recordings]
    if isinstance(shape, StreamModel):
        return _chunks(OnnxStream(bundle.at("fp32")), shape, heard, most)
    found = _windows(front_end.type, shape, heard)
    return [found[index] for index in _evenly(len(found), most)]


def _windows(name: str, shape: WindowModel, heard: Sequence[Frames]) -> list[Tensors]:
    return [
        {name: frames[start : start + shape.frames][None]}
        for frames in heard
        for start in range(0, len(frames) - shape.frames + 1, shape.frames // 2)
    ]


def _chunks(model: OnnxStream, shape: StreamModel, heard: Sequence[Frames], most: int) -> list[Tensors]:
    """Every chunk is heard, but only those that are wanted are kept, as caches are large."""
    wanted = set(_evenly(sum(len(frames) // shape.frames for frames in heard), most))
    found: list[Tensors] = []
    count = 0
    for frames in heard:
        memory = model.open()
        for start in range(0, len(frames) - shape.frames + 1, shape.frames):
            chunk = frames[start : start + shape.frames][None]
            if count in wanted:
                caches = {name: values[None] for name, values in model.suspend(memory).items()}
                found.append({"log_mel": chunk, **caches})
            model.step(chunk, [memory])
            count += 1
    return found


def _evenly(count: int, most: int) -> list[int]:
    return [int(index) for index in np.linspace(0, count - 1, min(most, count)).round()]


def _framed(front_end: AnyFrontEnd, samples: Samples, least: int) -> Frames:
    """At least that many frames: what is missing is silence."""
    missing = max(front_end.samples_for(least) - len(samples), 0)
    return frames_of(front_end, np.concatenate((samples, np.zeros(missing, np.float32))))
