"""Everything a pre-training run depends on, in one object that its checkpoint carries.

The defaults are the 2024 release's (ASiT sections 3 and 4); `VARIANTS` says what the first release did
differently.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.asit.asit import ASiTConfig
from trainer.asit.corruption import CorruptionConfig
from trainer.models.vit import PATCH, ViTConfig, vit_config
from trainer.run.resuming.settings import unchanged
from trainer.run.schedules import cosine, teacher_temperature, warm_up_cosine
from trainer.run.settings import checked, read_settings

VARIANTS: dict[str, dict[str, Any]] = {
    "2024": {},
    "2023": {
        "local_views": 0,
        "patch_prototypes": 1024,
        "frozen_scale": True,
        "frozen_epochs": 0,
        "reconstruction_hidden": 768,
        "reconstruction_bottleneck": 128,
        "ratio_high": 0.7,
        "temperature_warm_up": 30,
        "global_weight": 1.0,
        "local_weight": 1.0,
        "reconstruction_weight": 2.0,
        "part_size": 32,
    },
    "visible": {
        "visible_only": True,
        "aligned": True,
        "replace_probability": 0.0,
        "ratio_low": 0.7,
        "ratio_high": 0.7,
    },
}
"""Defaults by release of the authors' code. That of 2023 means to freeze the last layer in the first epoch and, for a
name that does not match, never does. `visible` is none of theirs: the 2024 method with a student that encodes the
untouched three tenths of the patches."""

MAY_CHANGE = frozenset({"data", "part_size", "parts", "workers", "compile", "probe_data"}) | {
    f"{what}_every" for what in ("log", "save", "keep", "picture", "probe")
}
"""Keys that a resumed run may set anew: where and how it runs, not what it computes. (The total batch and the
number of examples must stay, which `trainer.pretrain` sees to.)"""


class Rates(NamedTuple):
    """What the schedules say for one step."""

    learning_rate: float
    weight_decay: float
    ema: float
    temperature: float


class PretrainConfig(BaseModel):
    """One run. Lengths of views are in frames of 10 ms, multiples of 16; warm-ups are in epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: tuple[str, ...] = Field(min_length=1, description="folders of shards")

    size: str = Field("small", description="nano, tiny, small or base")
    initial: str | None = Field(None, description="weights to begin with, e.g. ImageNet's; none is random")
    frames: int = Field(592, description="global views: 6 s")
    local_frames: int = Field(192, description="local views: 2 s")
    local_views: int = Field(4, ge=0)
    mels: int = 128
    drop_path: float = Field(0.1, ge=0, lt=1)
    hidden: int = Field(2048, gt=0, description="width of the projection head")
    bottleneck: int = Field(256, gt=0)
    prototypes: int = Field(8192, gt=1)
    patch_prototypes: int | None = Field(None, gt=1, description="a last layer of their own for patch tokens")
    frozen_scale: bool = Field(False, description="the length of prototypes (weight_g) is not learnt")
    reconstruction_hidden: int | None = Field(None, gt=0, description="widths of its head; none: the backbone's")
    reconstruction_bottleneck: int | None = Field(None, gt=0)

    ratio_low: float = Field(0.5, description="corrupted share of a view, drawn from low to high")
    ratio_high: float = 0.5
    fill: Literal["zero", "noise"] = "zero"
    replace_probability: float = Field(0.5, ge=0, le=1)
    replace_ratio: float = 0.3
    longest_side: float = 0.3
    aligned: bool = Field(False, description="blocks of whole patches instead of pixels")
    visible_only: bool = Field(False, description="the student encodes untouched patches alone, a decoder the others")
    decoder_blocks: int = Field(2, gt=0, description="of that decoder")

    global_weight: float = Field(0.5, ge=0, description="0 switches a loss off; it is still computed and logged")
    local_weight: float = Field(0.5, ge=0)
    reconstruction_weight: float = Field(1.0, ge=0)
    student_temperature: float = Field(0.1, gt=0)
    teacher_temperature_start: float = Field(0.04, gt=0)
    teacher_temperature: float = Field(0.07, gt=0)
    temperature_warm_up: int = Field(5, ge=0)
    centre_momentum: float = Field(0.9, ge=0, le=1)

    epochs: int = Field(100, gt=0)
    part_size: int = Field(20, gt=0, description="examples a process takes at once")
    parts: int = Field(1, gt=0, description="parts whose gradients are added up in a step")
    learning_rate: float = Field(5e-4, gt=0, description="for a total batch of 256, scaled with it")
    final_learning_rate: float = Field(1e-6, ge=0)
    warm_up: int = Field(10, ge=0)
    weight_decay: float = Field(0.04, ge=0)
    final_weight_decay: float = Field(0.4, ge=0)
    clip: float = Field(3.0, gt=0, description="longest gradient of one parameter tensor")
    ema: float = Field(0.996, ge=0, le=1)
    frozen_epochs: int = Field(1, ge=0, description="epochs without gradient for the last layer")
    seed: int = Field(0, ge=0)
    shuffle_window: int = Field(0, ge=0, description="shards whose examples are shuffled together; 0 is all")
    bf16: bool | None = Field(None, description="autocast to bfloat16; none: where the hardware multiplies it")
    fp16: bool = Field(False, description="autocast to float16 with a loss scaler, for V100 and T4")

    workers: int = Field(4, ge=0, description="processes that decode audio")
    compile: bool = Field(False, description="torch.compile")
    log_every: int = Field(50, gt=0, description="steps")
    save_every: int = Field(1000, gt=0, description="steps")
    keep_every: int = Field(10, ge=0, description="epochs between checkpoints that stay, in RUN/kept; 0 is none")
    picture_every: int = Field(2000, gt=0, description="steps")
    probe_data: str | None = Field(None, description="labelled clips, in ESC-50's layout, to probe the teacher on")
    probe_every: int = Field(5, gt=0, description="epochs between probes")

    @model_validator(mode="after")
    def _possible(self) -> "PretrainConfig":
        _ = self.backbone, self.corruption
        if self.local_frames < PATCH or self.local_frames % PATCH:
            raise ValueError(f"local_frames ({self.local_frames}) must be a positive multiple of {PATCH}")
        if self.visible_only and (not self.aligned or self.replace_probability or not self.ratio_low):
            raise ValueError(
                "visible_only leaves corrupted patches out: it needs aligned=true, replace_probability=0 and a "
                "ratio_low above 0 (--variant visible has them)"
            )
        if self.fp16 and self.bf16:
            raise ValueError("bf16 and fp16 exclude each other; give one of them")
        return self

    @property
    def backbone(self) -> ViTConfig:
        return vit_config(self.size, self.frames, self.mels, self.drop_path)

    @property
    def front_end(self) -> FrontEnd:
        return FrontEnd.model_validate({"mels": self.mels})

    @property
    def asit(self) -> ASiTConfig:
        shared = {entry.name: getattr(self, entry.name) for entry in fields(ASiTConfig) if entry.name != "backbone"}
        return ASiTConfig(self.backbone, **shared)

    @property
    def corruption(self) -> CorruptionConfig:
        return CorruptionConfig(
            (self.ratio_low, self.ratio_high),
            self.fill,
            self.replace_probability,
            self.replace_ratio,
            self.longest_side,
            self.aligned,
        )

    def rates(self, step: int, steps_per_epoch: int, batch: int) -> Rates:
        """The schedules at a step of a run with this total batch."""
        steps = self.epochs * steps_per_epoch
        peak = self.learning_rate * batch / 256
        return Rates(
            warm_up_cosine(step, steps, self.warm_up * steps_per_epoch, peak, self.final_learning_rate, from_zero=True),
            cosine(step, steps, self.weight_decay, self.final_weight_decay),
            cosine(step, steps, self.ema, 1.0),
            teacher_temperature(
                step // steps_per_epoch,
                self.temperature_warm_up,
                self.teacher_temperature_start,
                self.teacher_temperature,
            ),
        )


def make_config(variant: str, file: Path | None, settings: Mapping[str, Any]) -> PretrainConfig:
    """A variant's defaults, then a YAML file, then single settings. WrongUse names the wrong key."""
    if variant not in VARIANTS:
        raise WrongUse(f"unknown variant {variant}; known: {', '.join(VARIANTS)}")
    values = {**VARIANTS[variant], **(read_settings(file) if file else {}), **settings}
    return checked(PretrainConfig, values)


def resumed(saved: Mapping[str, Any], asked: PretrainConfig, where: Path) -> PretrainConfig:
    """The config to go on with: the saved one, with what may change from the new one.

    WrongUse names each key whose change would make it another run.
    """
    unchanged(checked(PretrainConfig, saved).model_dump(), asked.model_dump(), where, MAY_CHANGE, "give another folder")
    return asked
