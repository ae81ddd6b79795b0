"""What a bundle's model takes of a stream, frame by frame: log-mel, or the samples themselves.

Models of others bring a front end of their own in their ONNX file and take waveforms. To everything between the
resampler and the classifier both kinds are the same: frames, `hop` samples apart, of `width` numbers each.
"""

from typing import Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from asit_edge.audio.samples import Samples
from asit_edge.model.frontend import Frames, FrontEnd, LogMel


class Waveform(BaseModel):
    """Samples from -1 to 1 as they are, cut into frames of `hop` samples that do not overlap."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["waveform"] = "waveform"
    sample_rate: int = Field(ge=1_000, le=384_000, description="Hz")
    hop: int = Field(gt=0, le=65_536, description="samples of a frame")

    def frames_in(self, samples: int) -> int:
        """Number of whole frames in that many samples."""
        return samples // self.hop

    def samples_for(self, frames: int) -> int:
        """Number of samples that give exactly that many frames."""
        return frames * self.hop

    @property
    def width(self) -> int:
        """Numbers a frame."""
        return self.hop

    @property
    def silence(self) -> float:
        """A sample of digital silence."""
        return 0.0


def _type_of(told: Any) -> str:
    """Which front end a manifest, or an object, is about; log-mel where it does not say."""
    return str(told.get("type", "log_mel") if isinstance(told, dict) else getattr(told, "type", "log_mel"))


AnyFrontEnd = Annotated[
    Annotated[FrontEnd, Tag("log_mel")] | Annotated[Waveform, Tag("waveform")],
    Discriminator(_type_of, "front_end_type", "type must be log_mel or waveform"),
]


class Framer(Protocol):
    """One stream from samples to frames."""

    @property
    def pending(self) -> int:
        """Samples at hand that the next frame will use."""
        ...

    def reset(self) -> None:
        """Forget the samples of an incomplete frame (after a gap)."""
        ...

    def push(self, samples: Samples) -> Frames:
        """Samples, shape (n,), to the frames they complete, shape (0 or more, width)."""
        ...


class WaveformFramer:
    """`Framer` of waveforms: every sample is in one frame."""

    def __init__(self, spec: Waveform) -> None:
        self._hop = spec.hop
        self._rest: Samples = np.zeros(0, np.float32)

    @property
    def pending(self) -> int:
        return self._rest.size

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Frames:
        buffered = np.concatenate((self._rest, samples))
        whole = buffered.size // self._hop * self._hop
        self._rest = buffered[whole:]
        return buffered[:whole].reshape(-1, self._hop)


def open_framer(spec: FrontEnd | Waveform) -> Framer:
    """For a new stream."""
    return WaveformFramer(spec) if isinstance(spec, Waveform) else LogMel(spec)


def frames_of(spec: FrontEnd | Waveform, samples: Samples) -> Frames:
    """A whole recording at once: samples (n,) to frames (frames_in(n), width)."""
    return open_framer(spec).push(np.ascontiguousarray(samples, np.float32))
