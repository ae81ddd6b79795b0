"""Everything that a distillation run depends on, apart from the data; its checkpoint carries it."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from asit_edge.model.frontend import FrontEnd
from trainer.data.scenes import SceneConfig
from trainer.models.streaming_mobilenet import WARM_SIZES, WarmConfig, warm_config
from trainer.models.streaming_vit import SIZES, StreamConfig, stream_config
from trainer.models.teacher_picture import warm_front_end
from trainer.run.average import running_share
from trainer.run.schedules import warm_up_cosine

CNN = "cnn"

WARM = {"time_mask": 0, "frequency_mask": 8, "held": 4}
"""What differs for a warm-started student. Its convolutions have learnt what not to rely on, and masks would hide short
sounds; they hear a sound for as long as it is among the columns that they judge."""


@dataclass(frozen=True)
class DistillConfig:
    """One run. The front end and the model's sizes are kept as plain values: a checkpoint holds nothing else."""

    size: str = "nano"
    """A streaming size, or `cnn`, the baseline over windows."""
    steps: int = 20_000
    batch: int = 16
    learning_rate: float = 1.5e-3
    warmup: int = 400
    """Steps in which the learning rate rises."""
    optimiser: Literal["muon", "adamw"] = "muon"
    """`muon`: for the matrices of blocks, with AdamW for the rest (`trainer.run.muon`); a CNN has no blocks."""
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    averaging: float = 0.9995
    """Decay of the running average of the weights, which is evaluated and exported; it reaches back over a tenth
    of a run at most."""
    chunk_weight: float = 0.5
    """Weight of the running score of chunks against that of time steps."""
    lately: int = 12
    """Time steps that "heard lately" looks back: 1.92 s, the teachers' window."""
    held: int = 1
    """Time steps for which a sound counts as there, from each one in which it is: more than one lets a score fall
    after a sound's end, and gives more weight to short sounds."""
    time_mask: int = 24
    frequency_mask: int = 20
    equaliser_db: float = 6.0
    """A random smooth frequency response of up to this many dB, as microphones and rooms have."""
    features: str | None = None
    """Weights of a pre-trained ASiT whose patch tokens the student's time steps learn to resemble; None: none."""
    features_size: str = "tiny"
    """Size of that ASiT."""
    feature_weight: float = 1.0
    initial: str | None = None
    """Checkpoint of a student of the same size that the run begins from; None: random weights."""
    focus: list[str] = field(default_factory=list)
    """Labels that matter: recordings with another are heard less often. Empty: all matter."""
    live: list[str] = field(default_factory=list)
    """EfficientAT state dicts that hear every scene; of stored teachers only what they are certain of then counts."""
    assigned: dict[str, str] = field(default_factory=dict)
    """Labels in which one teacher alone has a say, and the name of its file; in others all that know them."""
    labels_only: bool = False
    """Without teachers, for comparison: targets are the labels that people gave, all else is 0."""
    seed: int = 0
    validation: float = 0.1
    """Share of groups of recordings that are never trained on."""
    chosen_by: list[str] = field(default_factory=list)
    """Collections that are never trained on, by which models and thresholds are chosen; none: by those groups."""
    test_fold: int | None = None
    """Fold of collections in the ESC-50 layout that is never trained on."""
    scenes: SceneConfig = field(default_factory=SceneConfig)
    begin: str | None = None
    """EfficientAT state dict whose convolutions and classifier a warm-started student begins with."""
    frozen: int = 300
    """Steps in which a warm-started student's convolutions stay as they were."""
    front_end: dict[str, Any] = field(default_factory=dict)
    """Empty: that of the size."""
    model: dict[str, Any] | None = None
    """Of the student; None: that of its named size."""

    @property
    def spec(self) -> FrontEnd:
        if not self.front_end and self.size in WARM_SIZES:
            return warm_front_end()
        return FrontEnd(**self.front_end)

    @property
    def stream(self) -> StreamConfig | WarmConfig:
        """Raises ValueError for the CNN, which is no streaming model."""
        if self.size in WARM_SIZES:
            return WARM_SIZES[self.size] if self.model is None else warm_config(self.model)
        if self.model is None:
            if self.size not in SIZES:
                raise ValueError(f"{self.size!r} is not a streaming size; those are {', '.join(SIZES)}")
            return SIZES[self.size]
        return stream_config(self.model)

    def rate_at(self, step: int) -> float:
        """The learning rate at `step`, from 0 to `steps` - 1."""
        return warm_up_cosine(step, self.steps, self.warmup, self.learning_rate)

    def share_at(self, done: int) -> float:
        """By how much the average of the weights moves to those after `done` steps."""
        return running_share(self.averaging, done, max(self.steps, 20), late=10)

    def plain(self) -> dict[str, Any]:
        """As built-in types, the model's sizes written out; `from_plain` reads it."""
        model = asdict(self.stream) if self.size != CNN else None
        return {**asdict(self), "model": model, "front_end": self.spec.model_dump()}

    @staticmethod
    def from_plain(values: dict[str, Any]) -> "DistillConfig":
        scenes = {**values["scenes"]}
        for name in ("level_db", "noise_db"):
            scenes[name] = tuple(scenes[name])
        live = values.get("live") or []
        # Runs of versions that had no choice took AdamW, and one live teacher at most.
        said = {"optimiser": "adamw", **values, "live": [live] if isinstance(live, str) else live}
        return DistillConfig(**{**said, "scenes": SceneConfig(**scenes)})


def usual_for(size: str) -> dict[str, Any]:
    """What differs for a size from the defaults of `DistillConfig`."""
    return WARM if size in WARM_SIZES else {}
