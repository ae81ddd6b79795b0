"""Engines on disk: a pure TensorRT plan with a side-car beside it that says what the plan is good for.

An engine runs only with the TensorRT version and on the GPU that it was built with, and reading a foreign or damaged
one can end the process. So nothing is given to TensorRT before the side-car fits and the plan's hash is right.
File work only: neither TensorRT nor CUDA is needed here.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.files import make_folder, write_whole
from asit_edge.model.bundle import Manifest, sha256
from asit_edge.model.variant import Precision


class Options(BaseModel):
    """How an engine is built. `best_batch` is the number of streams that it is tuned for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Precision = "fp16"
    batch: int = Field(1, ge=1, le=64, description="most streams in one step")
    best_batch: int = Field(1, ge=1, le=64)
    workspace_mb: int = Field(1024, ge=16, description="scratch memory that the builder may plan with")


class Gpu(BaseModel):
    """A GPU and what drives it. All Jetson Orins give one name: their numbers tell the modules apart, and on one module
    the power mode, which takes multiprocessors away.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    compute_capability: str
    multiprocessors: int
    memory_gb: int = Field(description="rounded; on a Jetson that of the whole board")
    driver: str = Field(description="what CUDA it speaks and, where the system tells, its release")


class Key(BaseModel):
    """Everything that an engine depends on. Two engines with the same key are interchangeable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    onnx: str = Field(description="SHA-256 of the ONNX file")
    tensorrt: str = Field(description="full version")
    gpu: Gpu
    options: Options

    def differences(self, wanted: "Key") -> list[str]:
        """Each differing field in words."""
        mine, other = _flat(self), _flat(wanted)
        return [
            f"{name} is {mine[name]!s:.40}, needed is {other[name]!s:.40}" for name in mine if mine[name] != other[name]
        ]


class SideCar(BaseModel):
    """The JSON file beside a plan."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2] = 2
    bundle: str = Field(description="name and version")
    key: Key
    plan_sha256: str
    plan_bytes: int
    verified: dict[str, float] = Field(
        description="largest differences to ONNX Runtime, of a probability and of a label's logits, and those allowed"
    )
    benchmark: list[dict[str, float]] = Field(default_factory=list, description="latency by batch, on this device")


class Unusable(AsitEdgeError):
    """There is no engine that may be used, and why."""


class NotBuilt(Unusable):
    """There is no engine for this model on this device yet, or only one that was built for something else."""


class EngineCache:
    """A folder of engines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan_file(self, manifest: Manifest, key: Key) -> Path:
        """Where the engine with that key is kept. The name is for people, the digest tells keys apart."""
        digest = hashlib.sha256(key.model_dump_json().encode()).hexdigest()[:12]
        return self.folder / f"{self._stem(manifest, key)}-{digest}.plan"

    @property
    def timing_file(self) -> Path:
        """What TensorRT learned about the device's kernels: makes the next build faster."""
        return self.folder / "timing.cache"

    def read(self, manifest: Manifest, key: Key) -> bytes:
        """The plan with that key, whole and undamaged. Raises Unusable, saying what differs and how to rebuild."""
        file = self.plan_file(manifest, key)
        if file.is_file() or file.with_suffix(".json").is_file():
            return read_plan(file, key)
        others = sorted(self.folder.glob(f"{self._stem(manifest, key)}-*.json"), key=_age)
        for other in reversed(others):
            try:
                differences = read_side_car(other).key.differences(key)
            except Unusable:
                continue
            raise NotBuilt(f"{other.with_suffix('.plan')}: was built for something else ({'; '.join(differences)})")
        raise NotBuilt(f"{self.folder}: has no {key.options.precision} engine for {manifest.name} {manifest.version}")

    def write(self, manifest: Manifest, side_car: SideCar, plan: bytes) -> Path:
        """Keeps an engine. The side-car comes last, so that a plan without one is never taken for whole."""
        file = self.plan_file(manifest, side_car.key)
        write_engine(file, side_car, plan)
        return file

    def _stem(self, manifest: Manifest, key: Key) -> str:
        return f"{manifest.name}-{manifest.version}-{key.options.precision}".replace("/", "_")


def read_plan(file: Path, key: Key) -> bytes:
    """A plan whose side-car has this key and which is as its side-car says. Raises Unusable otherwise."""
    side_car = read_side_car(file.with_suffix(".json"))
    if differences := side_car.key.differences(key):
        raise Unusable(f"{file}: was built for something else ({'; '.join(differences)})")
    try:
        plan = file.read_bytes()
    except OSError as error:
        raise Unusable(f"{file}: cannot be read ({error.strerror})") from None
    if len(plan) != side_car.plan_bytes:
        raise Unusable(f"{file}: has {len(plan)} bytes, its side-car says {side_car.plan_bytes}; it is truncated")
    if hashlib.sha256(plan).hexdigest() != side_car.plan_sha256:
        raise Unusable(f"{file}: its SHA-256 is not the one in its side-car; it is damaged or from elsewhere")
    return plan


def read_side_car(file: Path) -> SideCar:
    """Raises Unusable if there is none, or it is not one of ours."""
    try:
        return SideCar.model_validate_json(file.read_bytes())
    except OSError as error:
        raise Unusable(f"{file}: cannot be read ({error.strerror}), so nothing vouches for the engine") from None
    except ValidationError as error:
        raise Unusable(f"{file}: is not a side-car of this version ({one_line(error)[:120]})") from None


def write_engine(file: Path, side_car: SideCar, plan: bytes) -> None:
    """Plan and side-car, each whole or not there."""
    make_folder(file.parent)
    file.with_suffix(".json").unlink(missing_ok=True)
    write_whole(file, plan)
    write_whole(file.with_suffix(".json"), (side_car.model_dump_json(indent=2) + "\n").encode())


def make_side_car(manifest: Manifest, key: Key, plan: bytes, verified: dict[str, float]) -> SideCar:
    """For a plan that was just built and verified."""
    return SideCar(
        bundle=f"{manifest.name} {manifest.version}",
        key=key,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        verified=verified,
    )


def make_key(onnx: Path, version: str, gpu: Gpu, options: Options) -> Key:
    """The key of the engine that would be built here and now."""
    return Key(onnx=sha256(onnx), tensorrt=version, gpu=gpu, options=options)


def _flat(key: Key) -> dict[str, Any]:
    values = key.model_dump()
    gpu, options = values.pop("gpu"), values.pop("options")
    return {**values, "gpu": gpu.pop("name"), **gpu, **options}


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
