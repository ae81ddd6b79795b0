"""Model bundles: a directory with `bundle.yaml`, the weights as ONNX and a model card, checked before use.

The format is the contract between the lab and the device. Weights travel as ONNX, never as pickles, and every
file's SHA-256 is compared with the manifest at load, so that a half-copied bundle is never listened with.
"""

import hashlib
import os
from collections import Counter
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from asit_edge.errors import AsitEdgeError, WrongUse, for_shell, readable
from asit_edge.labels import Label, slug
from asit_edge.model.front_ends import AnyFrontEnd
from asit_edge.model.variant import Precision, Variant
from asit_edge.validation import explain
from asit_edge.yaml_text import Unreadable, read_yaml

MANIFEST = "bundle.yaml"
MODEL = "model.onnx"
MOST_MANIFEST = 1 << 22
"""Bytes of a manifest."""
MOST_FRAMES = 20_000
"""Frames of a window or a chunk, and between windows: some minutes."""
MOST_CACHED = 1 << 26
"""Numbers in all caches of a stream."""
NAME_BYTES = 255
DEFAULT = "asit-warm-tiny"
"""Name of the bundle that is used where none is named."""
EMBEDDING = "embedding"
INITIAL = "initial.npz"
"""Of a stream model: what its caches hold after silence, one array a cache, without the batch."""


class LabelQuality(BaseModel):
    """How well a class is told, measured in the lab at its thresholds; `metrics` says on what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sounds: int = Field(ge=0, description="how many sounds of it that was measured on")
    average_precision: float = Field(ge=0, le=1, description="of the decisions, whatever the threshold")
    missed: float = Field(ge=0, le=1, description="share of the sounds")
    false_alarms: float = Field(ge=0, description="an hour")


class BundleLabel(Label):
    """A class of the model and the scores at which it is taken for heard and for over."""

    on_threshold: float = Field(gt=0, lt=1, description="an event starts at this score or above")
    off_threshold: float = Field(gt=0, lt=1, description="an event goes on until the score is below this")
    experimental: bool = Field(False, description="told too badly to be reported unless the configuration names it")
    quality: LabelQuality | None = None
    taught: bool = Field(False, description="taught on the device: reported whatever `events.only` says")

    @model_validator(mode="after")
    def _ordered(self) -> "BundleLabel":
        if self.off_threshold > self.on_threshold:
            raise ValueError(
                f"off_threshold ({self.off_threshold}) must not be above on_threshold ({self.on_threshold})"
            )
        return self


class WindowModel(BaseModel):
    """A model that scores one window of frames: (batch, frames, width) to (batch, classes), probabilities.

    With more than one step, to (batch, steps, classes): one score for each of as many parts of the newest interval. A
    file whose batch is fixed at 1 is given windows one by one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Literal["window"] = "window"
    frames: int = Field(gt=0, le=MOST_FRAMES, description="length of the window in frames")
    interval: int = Field(
        gt=0, le=MOST_FRAMES, description="frames between windows, unless the configuration says otherwise"
    )
    steps: int = Field(1, gt=0, description="decisions a window; more than one fixes the interval")

    @model_validator(mode="after")
    def _whole_steps(self) -> "WindowModel":
        if self.interval % self.steps:
            raise ValueError(f"interval ({self.interval}) must be a multiple of steps ({self.steps})")
        return self


class StreamModel(BaseModel):
    """A model that hears every frame once: (batch, frames, mels) and caches to (batch, steps, classes) and new caches.

    Inputs of the ONNX model: `log_mel`, then each cache by its name, (batch, *shape). Outputs: `scores`, probabilities,
    where it has one `embedding` (batch, numbers), what the model makes of the chunk before it decides, then each cache
    as the next chunk needs it, its name with `next_` before it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: Literal["stream"] = "stream"
    frames: int = Field(gt=0, le=MOST_FRAMES, description="length of a chunk in frames")
    steps: int = Field(gt=0, description="decisions a chunk; frames is a multiple of it")
    embedding: int | None = Field(None, gt=0, description="numbers of a chunk's embedding; none: the model gives none")
    caches: dict[str, list[int]] = Field(min_length=1, description="shape of each cache, without the batch")

    @model_validator(mode="after")
    def _consistent(self) -> "StreamModel":
        if self.frames % self.steps:
            raise ValueError(f"frames ({self.frames}) must be a multiple of steps ({self.steps})")
        if wrong := [name for name, shape in self.caches.items() if not shape or min(shape) < 0]:
            raise ValueError(f"caches.{wrong[0]}: a shape is a list of sizes, got {self.caches[wrong[0]]}")
        if sum(prod(shape) for shape in self.caches.values()) > MOST_CACHED:
            raise ValueError(f"caches: more than {MOST_CACHED:,} numbers are too many to keep of each stream")
        return self


class Manifest(BaseModel):
    """`bundle.yaml`. The order of `labels` is the order of the model's outputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str = Field(min_length=1)
    license: str = Field(min_length=1)
    labels: list[BundleLabel] = Field(min_length=1)
    front_end: AnyFrontEnd
    model: Annotated[WindowModel | StreamModel, Field(discriminator="shape")]
    files: dict[str, str] = Field(description="file name to SHA-256, in hexadecimal")
    golden_error: float = Field(
        0.0,
        ge=0,
        le=1,
        description="where it was made, of a model that rounds within",
    )
    variants: dict[Literal["fp16", "int8"], Variant] = Field(
        default_factory=dict, description="the model in other precisions"
    )
    training: dict[str, Any] = Field(default_factory=dict, description="where the weights come from")
    metrics: dict[str, Any] = Field(default_factory=dict, description="what was measured, and how")

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
        if MODEL not in self.files:
            raise ValueError(f"files must list {MODEL}")
        for precision, variant in self.variants.items():
            if (variant.file in self.files) is (variant.sha256 is not None):
                raise ValueError(
                    f"variants.{precision}: files does not list {variant.file}, and there is no sha256 for it either"
                    if variant.sha256 is None
                    else f"variants.{precision}: {variant.file} is in files and has a sha256; one of them is right"
                )
            if Path(variant.file).name != variant.file:
                raise ValueError(f"variants.{precision}: {variant.file!r} is not a plain file name")
            if variant.made_from != self.files[MODEL]:
                raise ValueError(f"variants.{precision}: made from another {MODEL} than the one in files")
        if isinstance(self.model, StreamModel) and INITIAL not in self.files:
            raise ValueError(f"files must list {INITIAL}: a stream model begins with it")
        for name in self.files:
            if Path(name).name != name or len(name.encode()) > NAME_BYTES:
                raise ValueError(f"files: {name!r} is not a plain file name")
        slugs = Counter(slug(label.name) for label in self.labels)
        twice = {label.name for label in self.labels if slugs[slug(label.name)] > 1}
        if twice:
            raise ValueError(f"labels that are not told apart: {', '.join(sorted(twice))}")
        return self


class Bundle:
    """A bundle on disk whose manifest is valid and whose files are the ones that the manifest names."""

    def __init__(self, path: Path, manifest: Manifest, model_file: Path | None = None) -> None:
        """`model_file` is the fp32 model unless another one takes its place."""
        self.path = path
        self.manifest = manifest
        self.model_file = model_file or path / MODEL

    @property
    def precisions(self) -> list[Precision]:
        """What the model is here in."""
        return ["fp32", *self.variants]

    @property
    def variants(self) -> dict[Precision, Variant]:
        """Those whose files are here: some are made on the device."""
        known = self.manifest.variants.items()
        return {precision: one for precision, one in known if one.sha256 is None or (self.path / one.file).is_file()}

    def to_make(self, precision: Precision) -> str:
        """How to make a variant whose file did not travel with the bundle."""
        return f"its {precision} model is made on the device: python -m export.variants {for_shell(self.path)}"

    def with_model(self, file: Path) -> "Bundle":
        """The same bundle with another file as its model."""
        return Bundle(self.path, self.manifest, file)

    def at(self, precision: Precision) -> "Bundle":
        """The bundle with its model in that precision. WrongUse if it has none."""
        if precision == "fp32":
            return self.with_model(self.path / MODEL)
        if precision not in self.manifest.variants:
            raise WrongUse(
                f"{self.path}: has no {precision} model (it has {', '.join(self.precisions)}); "
                f"make one with python -m export.variants {self.path} --precision {precision} --data AUDIO"
            )
        if precision not in self.variants:
            raise WrongUse(f"{self.path}: {self.to_make(precision)}")
        return self.with_model(self.path / self.variants[precision].file)

    @property
    def window(self) -> WindowModel:
        """Raises AsitEdgeError if the model is of the other kind."""
        if not isinstance(self.manifest.model, WindowModel):
            raise AsitEdgeError(f"{self.path}: is a streaming model, which does not score single windows")
        return self.manifest.model

    @property
    def stream(self) -> StreamModel:
        """Raises AsitEdgeError if the model is of the other kind."""
        if not isinstance(self.manifest.model, StreamModel):
            raise AsitEdgeError(f"{self.path}: is a window model, which keeps no caches")
        return self.manifest.model


def bundled() -> dict[str, Path]:
    """The bundles that come with the package, by name."""
    models = Path(str(files("asit_edge") / "bundles"))
    return {path.name: path for path in sorted(models.iterdir()) if (path / MANIFEST).is_file()}


def find_bundle(chosen: Path | None = None) -> Path:
    """Where a bundle lies: a directory, or one that comes with the package by its name; None is the default one."""
    if chosen is None:
        return bundled()[DEFAULT]
    return chosen if os.path.exists(chosen) else bundled().get(str(chosen), chosen)


def load_bundle(path: Path) -> Bundle:
    """Reads and verifies a bundle.

    Raises WrongUse where there is no bundle, AsitEdgeError where there is one that cannot be trusted.
    """
    manifest = read_manifest(path)
    made = {one.file: one.sha256 for one in manifest.variants.values() if one.sha256}
    for name, expected in {**manifest.files, **made}.items():
        file = path / name
        if name in made and not file.is_file():
            continue
        if not file.is_file():
            raise AsitEdgeError(f"{file}: named in {MANIFEST} but missing; copy the whole bundle again")
        actual = sha256(file)
        if actual != expected:
            raise AsitEdgeError(
                f"{file}: SHA-256 is {actual[:12]}… but {MANIFEST} says {readable(expected[:12])}…; "
                "the file is damaged or from another bundle, copy the whole bundle again"
            )
    return Bundle(path, manifest)


def read_manifest(path: Path) -> Manifest:
    """What a bundle says of itself, whatever its files are. Raises as `load_bundle`."""
    manifest_file = path / MANIFEST
    if not os.path.isfile(manifest_file):  # also of a name that no file can have
        raise WrongUse(
            f"{path}: not a model bundle (no {MANIFEST}); make one with python -m export.bundle, or take one that "
            f"comes with the package: {', '.join(bundled())}"
        )
    try:
        return Manifest.model_validate(read_yaml(_read_manifest(manifest_file))[1])
    except Unreadable as error:
        raise AsitEdgeError(error.of(manifest_file)) from None
    except ValidationError as error:
        raise AsitEdgeError(f"{manifest_file}: {explain(error, Manifest)}") from None


def _read_manifest(file: Path) -> str:
    """Raises AsitEdgeError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_MANIFEST + 1)
    except OSError as error:
        raise AsitEdgeError(f"{file}: cannot be read ({error.strerror})") from None
    if len(content) > MOST_MANIFEST:
        raise AsitEdgeError(f"{file}: is larger than {MOST_MANIFEST >> 20} MB, which no manifest is")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise AsitEdgeError(f"{file}: has a character that is not UTF-8; copy the whole bundle again") from None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes `bundle.yaml` in the order of the fields."""
    content = manifest.model_dump(mode="json")
    # What most models and labels do not have is left out.
    if not manifest.golden_error:
        del content["golden_error"]
    content["labels"] = [label.model_dump(mode="json", exclude_defaults=True) for label in manifest.labels]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    (path / MANIFEST).write_text(text, encoding="utf-8")


def sha256(file: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
