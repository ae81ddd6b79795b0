"""Thresholds of a student: `python -m trainer.thresholds CKPT --data DIR... --teacher FILE... --out YAML`.

From recordings that the student was not trained on (the validation groups of its run): where somebody labelled a sound
or the teachers are sure of it, and where they are sure that it is not there. What it writes goes into the bundle with
`export.bundle --facts`.
"""

from pathlib import Path
from typing import Annotated

import typer
import yaml

from trainer.data.audioset import read_labels
from trainer.data.layouts.collections import read_recordings
from trainer.distillation.thresholds import student_facts
from trainer.run.command import Threads, run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.distill.")],
    data: Annotated[list[Path], typer.Option(help="The collections of the run; repeat.")],
    out: Annotated[Path, typer.Option(help="YAML for export.bundle --facts.")],
    teacher: Annotated[list[Path] | None, typer.Option(help="The teachers of the run; repeat.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names to keep, one a line (trainer/everyday.txt); default: all.")
    ] = None,
    least: Annotated[float, typer.Option(help="Drop labels of a lower average precision in validation.")] = 0.0,
    threads: Threads = 0,
) -> None:
    """Choose labels and thresholds on the validation groups of a student's run."""
    recordings = [recording for root in data for recording in read_recordings(root)]
    facts = student_facts(checkpoint, recordings, teacher or [], read_labels(labels) if labels else None, least)
    out.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")
    judged = len(facts["metrics"]["step_average_precision"])
    print(f"wrote {out}: {len(facts['labels'])} labels, {judged} of them judged by validation")


if __name__ == "__main__":
    run("trainer.thresholds", main)
