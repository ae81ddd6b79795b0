"""The tasks that `trainer.finetune` knows: whose data, which recipe (ASiT adopts AST's)."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from asit_edge.errors import WrongUse
from trainer.data.dataset import Dataset
from trainer.data.layouts import audioset, folder, fsdd, speech_commands, voxceleb
from trainer.data.layouts.esc50 import read_esc50
from trainer.finetuning.config import FinetuneConfig
from trainer.students.config import CNN, DistillConfig

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

STUDENT_FRAMES = 640
"""Length of a window that a student learns from, at most: 6.4 s, more than the context of any of its layers."""

EVERYDAY_STUDENT = Path(__file__).parent.parent / "weights" / "asit-stream-nano.safetensors"
"""The weights of nano 0.2.1, with all the labels that it was distilled on: what a folder of one's own begins with."""

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
    return replace(STUDENT, student=asdict(student.stream), frames=frames, front_end=student.front_end)


RECIPES = {"detector": DETECTOR, **{name: task.recipe for name, task in TASKS.items() if name != "folder"}}
"""Recipes by name: any task can be trained with any."""
