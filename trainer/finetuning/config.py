"""Everything that a fine-tuning run depends on, apart from the data; its checkpoint carries it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.data.clips.windows import CropConfig
from trainer.models.finetuned import Head
from trainer.models.streaming_mobilenet import WarmConfig, warm_config
from trainer.models.streaming_vit import StreamConfig, stream_config
from trainer.models.vit import PATCH, SIZES, ViTConfig, vit_config
from trainer.run.average import epoch_mean_share, running_share
from trainer.run.schedules import warm_up_cosine, warm_up_halving
from trainer.run.settings import changed

Loss = Literal["bce", "ce"]
Crop = Literal["window", "whole"]
Schedule = Literal["cosine", "halving"]

MAY_CHANGE = frozenset({"workers", "save_every", "keep_every", "log_every"})
"""Settings that say how a run goes, not what it computes."""


@dataclass(frozen=True)
class FinetuneConfig:
    """One run. The front end is kept as plain values, so that a checkpoint holds nothing else."""

    size: str = "nano"
    """Of a window model."""
    student: dict[str, Any] | None = None
    """Sizes of a streaming student (`trainer.models.streaming_vit.StreamConfig`), fine-tuned instead of a window
    model."""
    held: int = 1
    """Time steps of a student for which a sound counts as there, from each one in which it is."""
    frozen: bool = False
    """A student's body stays as it is, and only the layers learn that have a row a label."""
    negatives: bool = False
    """What `asit-warm-tiny` ships of thousands of other sounds (its embeddings of them) is held against all classes;
    only with a frozen body, that of its own weights."""
    initial: str | None = None
    """Weights to begin with: of trainer.pretrain or any file that `trainer.models.pretrained` reads, or a distilled
    student; None is random."""
    head: Head = "clip"
    """clip: one score a window; frame: one for every time patch of it (a detector)."""
    loss: Loss = "bce"
    """bce: each class for itself; ce: exactly one class is true."""
    crop: Crop = "window"
    """window: a few seconds from anywhere, with the labels that are audible there (`trainer.data.clips.windows`), as a
    device hears; whole: whole clips, each once an epoch, as the paper's tasks are trained and tested."""
    frames: int = 192
    """Length of a window in frames (10 ms each); patches must fill it."""
    stride: int = PATCH
    """Frames and bins from patch to patch; less than 16 makes patches overlap (AST: 10)."""
    epochs: int | None = None
    """Length of a run; None: `steps`."""
    steps: int = 1500
    batch: int = 32
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises."""
    halve_from: int = 10
    """Schedule halving: first epoch with half the rate."""
    halve_every: int = 5
    layer_decay: float = 1.0
    """The learning rate of each block, counted from the head down, is this times that of the one above."""
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    drop_path: float = 0.1
    time_mask: int = 40
    frequency_mask: int = 24
    mixup: float = 0.0
    """Share of clips that are blended with another one, labels as well (crop whole; AST's mixup, Beta(10, 10))."""
    roll: int = 0
    """Spectrograms are rolled by up to so many frames either way (crop whole)."""
    noise: float = 0.0
    """Uniform noise up to this, times a random level, on the normalised spectrogram (crop whole)."""
    averaging: float = 0.998
    """Decay of the running average of the weights, which is saved (at most 1 - 10 / steps); 0: the last weights."""
    average_from: int | None = None
    """With epochs: save the plain mean of the weights after this epoch and each later one (from 1), instead."""
    balanced: bool = False
    """Draw clips so that rare classes come as often as common ones."""
    validation: float = 0.1
    """Share of the recordings by which weights are chosen and thresholds set, where the data have no such part."""
    patience: int = 0
    """Stop after so many evaluations without a better one; 0: never."""
    evaluations: int = 10
    """Evaluations on the validation part, spread over the run."""
    workers: int = 0
    """Processes that read clips, of each process that trains; 0: everything in memory, or, from shards, none."""
    save_every: int = 200
    """Steps between what a killed run goes on from (OUT/NAME.running.pt)."""
    keep_every: int = 0
    """Epochs between those of them that stay, in OUT/kept; 0: none."""
    log_every: int = 50
    """Steps between records in OUT/journal."""
    seed: int = 0
    crops: CropConfig = field(default_factory=CropConfig)
    front_end: dict[str, Any] = field(default_factory=lambda: FrontEnd().model_dump())

    def __post_init__(self) -> None:
        for name, valid in (
            ("head", get_args(Head)),
            ("loss", get_args(Loss)),
            ("crop", get_args(Crop)),
            ("schedule", get_args(Schedule)),
            ("size", tuple(SIZES)),
        ):
            if getattr(self, name) not in valid:
                raise WrongUse(f"{name} {getattr(self, name)}: unknown; known are {', '.join(valid)}")
        counts = (
            self.steps,
            self.batch,
            self.epochs or 1,
            self.held,
            self.evaluations,
            self.save_every,
            self.log_every,
        )
        if min(counts) < 1 or self.keep_every < 0:
            raise WrongUse("steps, epochs, batch, held, evaluations, save_every and log_every must be at least 1")
        if not 0 <= self.validation < 1 or not 0 <= self.mixup <= 1 or not 0 < self.layer_decay <= 1:
            raise WrongUse("validation and mixup are shares from 0 to 1; layer_decay is above 0 and at most 1")
        if not 0 <= self.averaging < 1:
            raise WrongUse("averaging is a decay from 0 to less than 1")
        if self.head == "frame" and 48 % self.stride:
            raise WrongUse(f"stride {self.stride}: a frame head needs one that divides 48, the frames of a decision")
        if self.head == "frame" and self.loss == "ce":
            raise WrongUse("loss ce: a frame head scores each class for itself; use bce")
        if (self.frozen or self.held > 1) and self.student is None:
            raise WrongUse("frozen, held: only a streaming student has a body to leave as it is, and steps to hold")
        if self.negatives and not self.frozen:
            raise WrongUse("negatives: are embeddings of the student as it was; they need frozen=true")
        if self.student is not None:
            self._check_student()
        if (self.average_from is not None or self.schedule == "halving") and self.epochs is None:
            raise WrongUse("average_from and schedule halving count epochs; give epochs, not steps")
        try:
            _ = self.stream if self.student is not None else self.backbone
        except ValueError as error:
            raise WrongUse(str(error)) from None

    def _check_student(self) -> None:
        if self.head != "frame" or self.crop != "window" or self.loss != "bce":
            raise WrongUse("a streaming student is trained on windows, with a frame head and loss bce")
        if self.frames % self.stream.frames:
            raise WrongUse(f"frames {self.frames}: must be a multiple of {self.stream.frames}, the student's chunk")

    @property
    def spec(self) -> FrontEnd:
        return FrontEnd(**self.front_end)

    @property
    def backbone(self) -> ViTConfig:
        return replace(vit_config(self.size, self.frames, self.spec.mels, self.drop_path), stride=self.stride)

    @property
    def stream(self) -> StreamConfig | WarmConfig:
        """Of the student; only where there is one."""
        plain = self.student or {}
        return warm_config(plain) if "trunk" in plain else stream_config(plain)

    @property
    def slots(self) -> int | None:
        """Scores of one window with a frame head; None with a clip head, which has one."""
        if self.head != "frame":
            return None
        return self.frames // PATCH if self.student is not None else self.backbone.grid[0]

    def rate_at(self, step: int, epoch_steps: int = 0) -> float:
        """The learning rate at `step`, from 0 to `steps` - 1; halving needs the number of steps in an epoch."""
        warm_up = max(round(self.steps * self.warmup), 1)
        if self.schedule == "halving":
            return warm_up_halving(step, epoch_steps, warm_up, self.learning_rate, self.halve_from, self.halve_every)
        return warm_up_cosine(step, self.steps, warm_up, self.learning_rate)

    def share_at(self, done: int, epoch_steps: int) -> float:
        """By how much the average of the weights moves to those after `done` steps: 1 takes them as they are."""
        if self.average_from is not None:
            return epoch_mean_share(done, epoch_steps, self.average_from)
        return running_share(self.averaging, done, self.steps, late=9)


def with_settings(config: FinetuneConfig, settings: Mapping[str, Any]) -> FinetuneConfig:
    """A config with some keys changed; `crops.KEY` reaches into the crops. WrongUse names an unknown key or value."""
    return changed(config, settings, fixed=("front_end", "student"))


def same_run(first: FinetuneConfig, second: FinetuneConfig) -> bool:
    """Whether both compute the same: all that counts is equal."""
    left, right = asdict(first), asdict(second)
    return all(left[key] == right[key] for key in left if key not in MAY_CHANGE)
