"""What a network makes of pools of scenes, label by label."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch import nn

from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd
from trainer.distillation.pool import ScenePool
from trainer.distillation.validation import pool_scores
from trainer.evaluation.families import related
from trainer.finetuning.checkpoint import load_finetuned
from trainer.models.device import stream_of
from trainer.models.streaming_vit import STEP
from trainer.run.checkpoint import checkpoint_kind
from trainer.students.student import STUDENT, load_student


class Judged(NamedTuple):
    """A network of any command as scenes judge it."""

    network: nn.Module
    labels: list[str]
    spec: FrontEnd
    held: int
    """Time steps after a sound's beginning in which the network may still answer for it."""
    step: int


def open_judged(checkpoint: Path) -> Judged:
    """A distilled or a fine-tuned checkpoint. Raises WrongUse or AsitEdgeError, naming the file."""
    if checkpoint_kind(checkpoint) == STUDENT:
        student, run, known, record = load_student(checkpoint)
        held = run.held if stream_of(student) is not None else run.lately
        return Judged(student, [label.name for label in known], run.spec, held, record["step"])
    network, config, known, _ = load_finetuned(checkpoint)
    held = 1 if network.kind == "frame" else config.frames // STEP
    return Judged(network, [label.name for label in known], config.spec, held, config.steps)


class HeardScenes(NamedTuple):
    """What a network makes of scenes: scores (scenes, steps, labels) of `labels`, and targets of the pools' labels."""

    labels: list[str]
    pool_labels: list[str]
    scores: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    hours: float
    parts: str
    """How many scenes of which part, in words."""
    step: int

    @property
    def known(self) -> list[str]:
        """Labels of the network that the pools know, in its order."""
        return [name for name in self.labels if name in self.pool_labels]

    def of(self, name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Scores and targets of a label, and the highest target of it and of those that are a kind of it or that it is
        a kind of; (scenes, steps) each."""
        target = self.targets[:, :, self.pool_labels.index(name)]
        kin = [place for place, other in enumerate(self.pool_labels) if other != name and related(name, other)]
        near = np.maximum(target, self.targets[:, :, kin].max(axis=2)) if kin else target
        return self.scores[:, :, self.labels.index(name)], target, near


def heard_scenes(checkpoint: Path, pools: Sequence[ScenePool], most: int) -> HeardScenes:
    """At most so many scenes of each pool, heard. Raises WrongUse where pools differ in their labels."""
    network, names, spec, held, step = open_judged(checkpoint)
    if any(pool.labels != pools[0].labels for pool in pools):
        raise WrongUse(f"{pools[-1].folder}: has other labels than {pools[0].folder}; make both of the same data")
    heard = [pool_scores(network, pool, spec, held, most) for pool in pools]
    scores, targets = (np.concatenate(part) for part in zip(*heard, strict=True))
    parts = ", ".join(
        f"{len(one)} of {pool.about.get('part', 'unknown')}" for (one, _), pool in zip(heard, pools, strict=True)
    )
    hours = scores.shape[0] * scores.shape[1] * STEP * spec.hop / spec.sample_rate / 3600
    return HeardScenes(names, pools[0].labels, scores, targets, hours, parts, step)
