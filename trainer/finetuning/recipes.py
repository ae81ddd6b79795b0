"""The tasks that `trainer.finetune` knows: whose data, which recipe (ASiT adopts AST's), and how a recipe is chosen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.data.dataset import Dataset
from trainer.data.layouts import audioset, folder, fsdd, speech_commands, voxceleb
from trainer.data.layouts.esc50 import read_esc50
from trainer.finetuning.config import FinetuneConfig, with_settings
from trainer.models.pretrained import stored_backbone
from trainer.models.streaming_mobilenet import WarmConfig
from trainer.run.settings import parse_settings
from trainer.students.config import CNN, WARM, DistillConfig
from trainer.students.student import is_student, load_student

DETECTOR = FinetuneConfig()
"""Windows of two seconds with what is audible in them, other sounds and noise added: for listening all day."""

STUDENT = replace(
    DETECTOR,
    head="frame",
    batch=16,
    steps=150,
    learning_rate=3e-3,
    layer_decay=0.3,
    time_mask=24,
    frequency_mask=20,
    averaging=0.98,
    balanced=True,
)
"""The same for a distilled student, which knows sounds already: longer windows, few steps, little change down below.

Classes come alike: otherwise one with a tenth of the clips never reaches a score that starts an event.
"""

FROZEN: dict[str, Any] = {**WARM, "frozen": True}
"""What differs for a warm-started student, whose body knows enough: only one layer on its embedding learns."""

STUDENT_FRAMES = 640
"""Length of a window that a student learns from, at most: 6.4 s, more than the context of any of its layers."""

EVERYDAY_STUDENT = Path(__file__).parent.parent / "weights" / "asit-warm-tiny.safetensors"
"""The weights of `asit-warm-tiny`, with all labels that it was distilled on: with them a folder of own sounds begins.
The negatives that its bundle ships are embeddings of this body."""

PAPER = FinetuneConfig(
    size="base", crop="whole", loss="ce", weight_decay=5e-7, averaging=0.0, drop_path=0.0, batch=48, epochs=25
)
"""What the paper's tasks have in common: whole clips, and AST's weight decay."""

AUDIOSET_20K = replace(
    PAPER,
    loss="bce",
    frames=992,
    batch=12,
    learning_rate=5e-5,
    epochs=25,
    mixup=0.5,
    frequency_mask=48,
    time_mask=192,
    schedule="halving",
    halve_from=10,
    halve_every=5,
    average_from=6,
    validation=0.05,
    workers=8,
)
AUDIOSET_2M = replace(
    AUDIOSET_20K,
    learning_rate=1e-5,
    epochs=5,
    balanced=True,
    halve_from=2,
    halve_every=1,
    average_from=1,
    validation=0.01,
)
ESC50 = replace(PAPER, frames=496, learning_rate=1e-4, frequency_mask=24, time_mask=96)
SPEECH_COMMANDS = replace(
    PAPER,
    frames=96,
    batch=128,
    learning_rate=2.5e-4,
    epochs=30,
    mixup=0.6,
    frequency_mask=48,
    time_mask=48,
    noise=0.1,
    roll=10,
)
VOXCELEB1 = replace(PAPER, frames=992, learning_rate=1e-4, frequency_mask=48, time_mask=192, workers=8)
FSDD = replace(SPEECH_COMMANDS, size="nano", batch=64, learning_rate=1e-3, drop_path=0.1, averaging=0.99, frames=80)


@dataclass(frozen=True)
class Task:
    """What to read, and how to train on it unless told otherwise."""

    read: Callable[[Path], Dataset]
    recipe: FinetuneConfig


TASKS = {
    "audioset-20k": Task(audioset.read_20k, AUDIOSET_20K),
    "audioset-2m": Task(audioset.read_2m, AUDIOSET_2M),
    "esc50": Task(read_esc50, ESC50),
    "speech-commands-v1": Task(speech_commands.read_v1, SPEECH_COMMANDS),
    "speech-commands-v2": Task(speech_commands.read_v2, SPEECH_COMMANDS),
    "voxceleb1": Task(voxceleb.read, VOXCELEB1),
    "fsdd-digits": Task(fsdd.read_digits, FSDD),
    "fsdd-speakers": Task(fsdd.read_speakers, FSDD),
    "folder": Task(folder.read, DETECTOR),
}


def student_recipe(student: DistillConfig) -> FinetuneConfig:
    """Recipe for a student of `trainer.distill`. Raises WrongUse for the CNN, which is no streaming model."""
    if student.size == CNN:
        raise WrongUse("--initial: the CNN baseline cannot be fine-tuned; take a streaming student")
    frames = STUDENT_FRAMES // student.stream.frames * student.stream.frames
    front_end = student.spec.model_dump()
    config = replace(STUDENT, student=asdict(student.stream), frames=frames, front_end=front_end)
    return with_settings(config, FROZEN) if isinstance(student.stream, WarmConfig) else config


RECIPES = {"detector": DETECTOR, **{name: task.recipe for name, task in TASKS.items() if name != "folder"}}
"""Recipes by name: any task can be trained with any."""


def configure(
    task: str,
    recipe: str | None,
    initial: Path | None,
    size: str | None,
    options: dict[str, Any],
    pairs: list[str],
    negatives: bool = True,
) -> FinetuneConfig:
    """The recipe with what was asked for instead. The size is that of the weights to begin with, if there are any.

    A distilled student that is begun with has a recipe of its own. One's own sounds begin with the student that comes
    with the trainer, unless something else is asked for, and are held against the `negatives` that belong to it.
    """
    if recipe is not None and recipe not in RECIPES:
        raise WrongUse(f"--recipe {recipe}: unknown{nearest(recipe, list(RECIPES))}")
    if task == "folder" and recipe is None and size is None and initial is None:
        initial = EVERYDAY_STUDENT
        if not initial.is_file():
            raise WrongUse(
                f"{initial.name}: is in the repository, not in the installed package; give --initial or --size"
            )
    config = TASKS[task].recipe if recipe is None else RECIPES[recipe]
    if initial is not None and is_student(initial):
        if recipe is not None or size is not None:
            raise WrongUse(f"--initial {initial}: a student brings its size and recipe; leave out --size and --recipe")
        config = student_recipe(load_student(initial)[1])
    settings = {key: value for key, value in options.items() if value is not None}
    if "steps" in settings and "epochs" not in settings and config.epochs is not None:
        if config.schedule == "halving" or config.average_from is not None:
            raise WrongUse("--steps: this recipe counts epochs (halving, averaging); use --epochs")
        config = replace(config, epochs=None)
    if initial is not None:
        settings["initial"] = str(initial)
        if config.student is None:
            size = size or stored_backbone(initial)[0]
    if size is not None:
        settings["size"] = size
    changed = settings | parse_settings(pairs)
    own = task == "folder" and initial is not None and initial.resolve() == EVERYDAY_STUDENT.resolve()
    if negatives and own and changed.get("frozen", config.frozen):
        changed = {"negatives": True} | changed
    config = with_settings(config, changed)
    if config.negatives and not own:
        raise WrongUse("negatives: are embeddings of the student that a folder begins with; take it, or leave them out")
    return config
