"""What somebody declares of a model that is to be adopted (YAML), checked before the model is opened."""

import math
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from asit_edge.config.file import read_settings
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import MOST_FRAMES, WindowModel
from asit_edge.model.front_ends import Waveform
from asit_edge.model.frontend import FrontEnd
from trainer.evaluation.scoring import DEFAULT_OFF, DEFAULT_ON

MOST_SAMPLES = 1 << 24
LONGEST_FRAME = 0.02
"""Seconds of a frame of samples: so finely a configuration can set another interval."""


class WaveformInput(BaseModel):
    """The model takes samples from -1 to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["waveform"]
    sample_rate: int = Field(ge=1_000, le=384_000, description="Hz")
    samples: int = Field(gt=0, le=MOST_SAMPLES, description="length of the window that the model looks at")


class LogMelInput(FrontEnd):
    """The model takes log-mel as our front end makes it, with these numbers."""

    type: Literal["log_mel"]
    frames: int = Field(gt=0, le=MOST_FRAMES, description="length of the window that the model looks at")


class Declaration(BaseModel):
    """A classifier over waveforms or log-mel, and what it must be known of it. Files lie beside the declaration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(min_length=1)
    license: str = Field(min_length=1, description="of the weights, SPDX")
    source: str = Field(min_length=1, description="who made the model, and where it comes from")
    notice: Path | None = Field(None, description="file of licences and attributions that must travel along")
    model: Path = Field(description=".onnx, .tflite, or .pt: a state dict of an EfficientAT MobileNet")
    input: Annotated[WaveformInput | LogMelInput, Field(discriminator="type")]
    interval: float = Field(gt=0, allow_inf_nan=False, description="seconds between decisions")
    output: Literal["probabilities", "logits"] = Field(description="logits are made probabilities by a sigmoid")
    labels: Path | list[str] = Field(description="in the order of the outputs: a list, or a file of them")
    on_threshold: float = Field(DEFAULT_ON, gt=0, lt=1, description="score at which an event starts")
    off_threshold: float = Field(DEFAULT_OFF, gt=0, lt=1, description="score below which it ends")
    thresholds: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        default_factory=dict, description="label to [on, off], where they differ"
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _names(cls, told: object) -> object:
        if isinstance(told, list) and all(isinstance(name, str) for name in told):
            return told
        if not isinstance(told, str | Path):
            raise ValueError("must be a list of names, or a file of them")
        return Path(told)

    @model_validator(mode="after")
    def _framed(self) -> "Declaration":
        self.framing  # noqa: B018
        return self

    @property
    def framing(self) -> "Framing":
        """Raises ValueError where the interval does not fit."""
        return _framing(self.input, self.interval)


class Framing(NamedTuple):
    """How a stream becomes the model's windows."""

    front_end: FrontEnd | Waveform
    model: WindowModel


def _framing(told: WaveformInput | LogMelInput, interval: float) -> Framing:
    """Of samples, frames are as long as window and interval allow, up to 20 ms. Raises ValueError."""
    unit = 1 if isinstance(told, WaveformInput) else told.hop
    steps = interval * told.sample_rate / unit
    between = round(steps)
    if not between or not math.isclose(steps, between, rel_tol=1e-6):
        nearest = max(between, 1) * unit / told.sample_rate
        raise ValueError(
            f"interval ({interval:g} s) must be a multiple of {unit / told.sample_rate:g} s, as {nearest:g}"
        )
    length = told.samples if isinstance(told, WaveformInput) else told.frames
    if between > length:
        seconds = length * unit / told.sample_rate
        raise ValueError(
            f"interval ({interval:g} s) is longer than the window ({seconds:g} s): what is between would not be heard"
        )
    if isinstance(told, LogMelInput):
        front_end = FrontEnd.model_validate(told.model_dump(exclude={"frames"}))
        return Framing(front_end, WindowModel(frames=length, interval=between))
    common = math.gcd(length, between)
    most = max(round(LONGEST_FRAME * told.sample_rate), 1)
    hop = max(size for size in range(1, min(common, most) + 1) if common % size == 0)
    if length // hop > MOST_FRAMES:
        raise ValueError(
            f"interval ({between} samples) and window ({length} samples) have only {common} as a common measure; "
            f"take multiples of {most} samples for both"
        )
    return Framing(
        Waveform(sample_rate=told.sample_rate, hop=hop), WindowModel(frames=length // hop, interval=between // hop)
    )


def read_declaration(file: Path) -> Declaration:
    """With paths as they are from here. Raises WrongUse, naming file and key, also for files that are not there."""
    told = read_settings(file, Declaration, "those of docs/adopt")
    found: dict[str, Path] = {}
    for key in ("model", "labels", "notice"):
        named = getattr(told, key)
        if isinstance(named, Path):
            found[key] = file.parent / named
            if not found[key].is_file():
                raise WrongUse(f"{file}: {key}: {found[key]}: no such file; paths are from where the declaration lies")
    return told.model_copy(update=found)
