"""Thresholds of a student: `python -m trainer.thresholds CKPT --scenes POOL --out YAML`.

From scenes of recordings that the student was not trained on (`trainer.scenes --validation`): an event should be right,
and false alarms rare. Or, with --data and --teacher in place of --scenes, from the recordings of its run's validation
groups: where somebody labelled a sound or the teachers are sure of it, and where they are sure that it is not there.
What it writes goes into the bundle with `export.bundle --facts`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.layouts.collections import read_recordings
from trainer.distillation.pool import open_pool
from trainer.distillation.scene_thresholds import pool_facts
from trainer.distillation.thresholds import student_facts
from trainer.run.command import Threads, run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.distill.")],
    out: Annotated[Path, typer.Option(help="YAML for export.bundle --facts.")],
    scenes: Annotated[list[Path] | None, typer.Option(help="Pool of scenes, validation's first; repeat.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Scenes of each that are heard, at most.")] = 1024,
    data: Annotated[list[Path] | None, typer.Option(help="The collections of the run; repeat.")] = None,
    teacher: Annotated[list[Path] | None, typer.Option(help="The teachers of the run; repeat.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names to keep, one a line (trainer/everyday.txt); default: all.")
    ] = None,
    least: Annotated[float, typer.Option(help="Drop labels of a lower average precision in validation.")] = 0.0,
    threads: Threads = 0,
) -> None:
    """Choose labels and thresholds on the validation groups of a student's run."""
    if (not scenes) == (not data):
        raise WrongUse("give either --scenes POOL, or --data DIR and teachers")
    listed = read_labels(labels) if labels else None
    if scenes:
        facts = pool_facts(checkpoint, [open_pool(folder) for folder in scenes], listed, most)
        write(out, facts)
        weak = len(facts["labels"]) - facts["metrics"]["labels_reported"]
        print(f"wrote {out}: {len(facts['labels'])} labels, {weak} of them experimental")
        return
    recordings = [recording for root in data or [] for recording in read_recordings(root)]
    facts = student_facts(checkpoint, recordings, teacher or [], listed, least)
    write(out, facts)
    judged = len(facts["metrics"]["step_average_precision"])
    print(f"wrote {out}: {len(facts['labels'])} labels, {judged} of them judged by validation")


def write(out: Path, facts: dict[str, Any]) -> None:
    out.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")


if __name__ == "__main__":
    run("trainer.thresholds", main)
