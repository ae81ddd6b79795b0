"""The same takes in the lab: `trainer.finetune folder` with its defaults, all labels together.

Its student has the bundle's body, which stays as it is; what learns is one layer on the embeddings that the bundle's
ear has heard already, so that hours need not be heard again. Takes are too few for a validation part: an event begins
at the default threshold.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from bench.teach.ears import Ear, Stream
from bench.teach.trials import Clip, Figures, Long, draw, figures, mean_of
from trainer.evaluation.families import related
from trainer.finetuning.loop import train
from trainer.finetuning.negatives import shipped
from trainer.finetuning.recipes import configure
from trainer.models.finetuned import StreamNetwork
from trainer.models.streaming_mobilenet import StreamMobile
from trainer.run.ranks.distributed import standing_alone

AT_DEFAULT = 0.0
"""The logit of 0.5, the threshold of a checkpoint that has chosen none."""


@dataclass(frozen=True)
class Layer:
    """What was learnt: a column a label."""

    weight: np.ndarray
    bias: np.ndarray

    def line_of(self, column: int) -> Callable[[Stream], np.ndarray]:
        def logits(stream: Stream) -> np.ndarray:
            assert stream.embeddings is not None
            line: np.ndarray = stream.embeddings.astype(np.float32) @ self.weight[column] + self.bias[column]
            return line

        return logits


def fine_tuned(clips: Sequence[Clip], chosen: dict[str, list[int]], seed: int, negatives: bool) -> Layer:
    """A layer for these labels, learnt from these clips, by number.

    They have names of somebody's own: AudioSet's would begin with what the student knows of them.
    """
    names = [f"my {label}" for label in chosen]
    takes = [(clips[index], column) for column, some in enumerate(chosen.values()) for index in some]
    targets = np.eye(len(names), dtype=np.float32)[[column for _, column in takes]]
    config = replace(configure("folder", None, None, None, {}, [], negatives), seed=seed)
    others = shipped(names, related) if negatives else None
    samples = [clip.samples for clip, _ in takes]
    made = train(samples, targets, config, standing_alone(), categories=names, negatives=others)
    assert isinstance(made, StreamNetwork)
    assert isinstance(made.student, StreamMobile)
    made.cpu()
    first, second = made.student.frame_head, made.student.correction
    with torch.no_grad():
        return Layer(torch.cat((first.weight, second.weight), dim=1).numpy(), (first.bias + second.bias).numpy())


def measure_lab(
    ear: Ear, clips: Sequence[Clip], long: Long, takes: int, draws: int, negatives: bool
) -> dict[str, Figures]:
    """Means of the draws, by label: the draws of `bench.teach.trials.measure`."""
    trials: defaultdict[str, list[Figures]] = defaultdict(list)
    for number in range(draws):
        found = {label: draw(clips, label, takes, number) for label in sorted({clip.label for clip in clips})}
        drawn = {label: one for label, one in found.items() if one is not None}
        layer = fine_tuned(clips, {label: chosen for label, (chosen, _) in drawn.items()}, number, negatives)
        for column, (label, (_, to_find)) in enumerate(drawn.items()):
            line = layer.line_of(column)
            trials[label].append(figures(line, AT_DEFAULT, clips, long, label, to_find, ear))
    return {label: mean_of(some) for label, some in sorted(trials.items())}
