"""Scores on one scale: `python -m trainer.rescale CKPT --scenes POOL --like TEACHER --out CKPT`.

A distilled student's labels are brought, each by a line in its logits, to the scale on which a published model answers
(EfficientAT's state dict or YAMNet's TFLite file), which hears the pool's scenes beside it. Labels that it does not
know stay as they are. No label's own ranking changes: what one threshold for all labels finds does.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from asit_edge.errors import WrongUse
from trainer.distillation.pool import open_pool
from trainer.distillation.rescaling import fit_line, rescaled
from trainer.distillation.validation import pool_scores
from trainer.models.streaming import is_streaming
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.run.command import Threads, run
from trainer.students.student import STUDENT, load_student
from trainer.teachers.together import SceneTeacher


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Streaming student of trainer.distill.")],
    scenes: Annotated[Path, typer.Option(help="Pool of scenes that both hear.")],
    like: Annotated[Path, typer.Option(help="Whose scale: an EfficientAT state dict or YAMNet's TFLite file.")],
    out: Annotated[Path, typer.Option(help="The rescaled checkpoint.")],
    most: Annotated[int, typer.Option(min=1, help="Scenes that are heard, at most.")] = 768,
    threads: Threads = 1,
) -> None:
    """Bring a student's scores to the scale of a published model."""
    student, config, labels, _ = load_student(checkpoint)
    if not is_streaming(student):
        raise WrongUse(f"{checkpoint}: is no streaming student; only those can be rescaled")
    pool, teacher = open_pool(scenes), SceneTeacher(like, config.spec.sample_rate)
    names = [label.name for label in labels]
    known = [name for name in names if name in teacher.labels]
    if not known:
        raise WrongUse(f"{like}: knows none of the labels of {checkpoint}")
    said, _ = pool_scores(student, pool, config.spec, config.held, most)
    columns = [teacher.labels.index(name) for name in known]
    heard = [
        teacher(pool.scene(number)[0])[:, columns] for number in tqdm(range(len(said)), like.name, file=sys.stderr)
    ]
    answers = np.stack(heard)
    lines = {
        names.index(name): fit_line(said[:, :, names.index(name)].ravel(), answers[:, :, place].ravel())
        for place, name in enumerate(known)
    }
    content = load_checkpoint(checkpoint, STUDENT)
    save_checkpoint(out, STUDENT, {**content, "model": rescaled(content["model"], lines)})
    shifts = np.array([line.shift for line in lines.values()])
    print(
        f"wrote {out}: {len(lines)} of {len(names)} labels rescaled by {len(said)} scenes; shifts of logits "
        f"{np.percentile(shifts, 5):.1f} to {np.percentile(shifts, 95):.1f} (9 of 10 labels)"
    )


if __name__ == "__main__":
    run("trainer.rescale", main)
