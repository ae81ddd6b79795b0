"""A taught sound on disk: `<slug>.yaml`, which people can read, and `<slug>.safetensors`, which computes.

An overlay belongs to one model, whose embeddings it speaks of: its bundle's name and the SHA-256 of its `model.onnx`.
It has directions only; no audio can be made of it. Whatever comes from elsewhere is checked before it is used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import hand_over, write_whole
from asit_edge.labels import slug
from asit_edge.model.bundle import BundleLabel
from asit_edge.model.key import ModelKey
from asit_edge.teach.prototype import Prototype
from asit_edge.teach.space import Directions
from asit_edge.validation import explain
from asit_edge.yaml_text import Unreadable, read_yaml

ON, OFF = 0.5, 0.35
"""Scores at which an event of a taught sound begins, and below which it ends."""

MOST_BYTES = 1 << 24
"""Of a file of an overlay."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TakeNote(_Part):
    """What is remembered of a take: nothing that could be heard."""

    name: str
    content: str = Field(description="SHA-256 of its samples")
    heard: bool = Field(description="whether the other takes alone find it")
    likeness: float = Field(description="to the other takes, from -1 to 1")


class QualityNote(_Part):
    """How good it was found to be when it was taught."""

    average_precision: float = Field(ge=0, le=1)
    taken_for_it: int = Field(ge=0, description="of the negatives, how many would be an alarm")
    negatives: int = Field(ge=0, description="other sounds that it was held against")
    background_hours: float = Field(0.0, ge=0, description="of the place's own sounds that it was held against")
    confused_with: list[str] = Field(default_factory=list)


class Correction(_Part):
    """That a label of the model was wrong, or was missed, when it sounded like this."""

    label: str
    kind: Literal["wrong", "missed"]


class TaughtSound(_Part):
    """`<slug>.yaml`."""

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    enabled: bool = True
    model: ModelKey
    taught: str = Field(description="when, ISO 8601")
    alarms_per_day: float = Field(gt=0, description="that the threshold was chosen for")
    threshold: float = Field(ge=-1, le=1, description="likeness at which the score is 0.5")
    softness: float = Field(gt=0, le=2, description="difference of likeness that is one in the score's logit")
    takes: list[TakeNote] = Field(min_length=1)
    wrong: int = Field(0, ge=0, description="examples of what it is not")
    corrects: Correction | None = Field(None, description="none: it is a label of its own")
    quality: QualityNote
    sha256: str = Field(description="of the safetensors file")

    @property
    def slug(self) -> str:
        return slug(self.name)

    @property
    def label(self) -> BundleLabel:
        """As a class of the model; its id is its slug."""
        return BundleLabel(name=self.name, id=self.slug, on_threshold=ON, off_threshold=OFF, taught=True)


class Overlay(BaseModel):
    """A taught sound with its directions, (chunks, axes) each."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    sound: TaughtSound
    direction: Any
    parts: dict[str, list[Any]]
    """`stream`: takes as they were recorded; `span`: they and their variants where the sound is; `before`: the place
    alone; `wrong`: what it is not."""

    @property
    def prototype(self) -> Prototype:
        return Prototype(self.direction, self.sound.threshold, self.sound.softness)


def arrays_of(direction: Directions, parts: Mapping[str, Sequence[Directions]]) -> bytes:
    """The content of an overlay's safetensors file; `parts` as in `Overlay`."""
    arrays: dict[str, np.ndarray] = {"direction": direction.astype(np.float32)}
    for name, some in parts.items():
        arrays |= {f"{name}{number:03d}": part.astype(np.float16) for number, part in enumerate(some)}
    return save(arrays)


def write_overlay(folder: Path, sound: TaughtSound, arrays: bytes) -> None:
    """Both files, the one that refers to the other last. Raises AsitEdgeError where they cannot be written."""
    for suffix, content in ((".safetensors", arrays), (".yaml", as_yaml(sound))):
        write_whole(folder / f"{sound.slug}{suffix}", content)
        hand_over(folder / f"{sound.slug}{suffix}", folder.parent)
    hand_over(folder, folder.parent)


def as_yaml(sound: TaughtSound) -> bytes:
    return yaml.safe_dump(sound.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110).encode()


def read_sound(file: Path) -> TaughtSound:
    """`<slug>.yaml`. Raises AsitEdgeError if it is none."""
    return parse_sound(_content(file), file)


def parse_sound(content: bytes, file: Path) -> TaughtSound:
    """Raises AsitEdgeError, naming `file`, if it is none."""
    try:
        return TaughtSound.model_validate(read_yaml(content.decode("utf-8"))[1])
    except Unreadable as error:
        raise AsitEdgeError(error.of(file)) from None
    except UnicodeDecodeError:
        raise AsitEdgeError(f"{file}: has a character that is not UTF-8") from None
    except ValidationError as error:
        raise AsitEdgeError(f"{file}: {explain(error, TaughtSound)}") from None


def read_overlay(file: Path, axes: int) -> Overlay:
    """The overlay whose YAML file that is. Raises AsitEdgeError if either of its files is not as it should be."""
    sound = read_sound(file)
    beside = file.with_suffix(".safetensors")
    return parse_overlay(sound, _content(beside), beside, axes)


def parse_overlay(sound: TaughtSound, content: bytes, file: Path, axes: int) -> Overlay:
    """Raises AsitEdgeError, naming `file`, if the arrays are not those of the sound."""
    if hashlib.sha256(content).hexdigest() != sound.sha256:
        raise AsitEdgeError(f"{file}: is not the file that the YAML beside it was written with; teach the sound again")
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise AsitEdgeError(f"{file}: cannot be read ({error}); teach the sound again") from None
    direction = arrays.pop("direction", np.zeros(0)).astype(np.float32)
    parts = {kind: [arrays[name] for name in sorted(arrays) if name.startswith(kind)] for kind in _KINDS}
    fits = direction.shape == (axes,) and all(
        part.ndim == 2 and part.shape[1] == axes and len(part) and np.isfinite(part).all()
        for some in parts.values()
        for part in some
    )
    if not fits or not np.isfinite(direction).all() or len(parts["stream"]) != len(sound.takes):
        raise AsitEdgeError(f"{file}: its arrays do not fit the model; teach the sound again")
    floats = {kind: [part.astype(np.float32) for part in some] for kind, some in parts.items()}
    return Overlay(sound=sound, direction=direction, parts=floats)


_KINDS = ("stream", "span", "before", "wrong")


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise AsitEdgeError(f"{file}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise AsitEdgeError(f"{file}: is larger than {MOST_BYTES >> 20} MB, which no taught sound is")
    return content
