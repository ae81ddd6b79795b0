"""Thresholds of a checkpoint: `python -m trainer.thresholds CKPT --scenes POOL|--data DIR|--ambience DIR --out YAML`.

--scenes: from scenes of recordings that it was not trained on (`trainer.scenes --validation`): an event should be
right, and false alarms rare. --data, of a fine-tuned checkpoint: from labelled recordings; those that it was trained or
tested on take no part. --data with --teacher, of a distilled student: from the recordings of its run's validation
groups, where somebody labelled a sound or the teachers are sure of it, and where they are sure that it is not there.
--ambience: from hours in which nothing sounds that should alarm; thresholds are raised until almost nothing would have.
What it writes goes into the bundle with `export.bundle --facts`.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.dataset import with_sound
from trainer.data.layouts.collections import read_recordings
from trainer.data.layouts.detect import read_any
from trainer.distillation.pool import open_pool
from trainer.distillation.scene_thresholds import pool_facts
from trainer.distillation.thresholds import student_facts
from trainer.evaluation.evidence import weak_thresholds
from trainer.evaluation.heard import cannot_know
from trainer.evaluation.scoring import DEFAULT_ON, open_model
from trainer.evaluation.thresholds.ambience import calibrated, recordings_in
from trainer.evaluation.thresholds.clips import thresholds_from
from trainer.finetuning.checkpoint import FINETUNED
from trainer.run.checkpoint import checkpoint_kind
from trainer.run.command import Threads, run, warn
from trainer.students.student import STUDENT


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill.")],
    out: Annotated[Path, typer.Option(help="YAML for export.bundle --facts.")],
    scenes: Annotated[list[Path] | None, typer.Option(help="Pool of scenes, validation's first; repeat.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Scenes of each that are heard, at most.")] = 1024,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled recordings; of a distilled student: the collections of its run; repeat."),
    ] = None,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Of a distilled student: the teachers of its run; repeat.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Names to keep, one a line (trainer/everyday.txt); default: all.")
    ] = None,
    ambience: Annotated[
        list[Path] | None, typer.Option(help="Folders or files of hours in which nothing should alarm; repeat.")
    ] = None,
    alarms_per_day: Annotated[float, typer.Option(min=0.001, help="--ambience: of each label, at most.")] = 1.0,
    least: Annotated[
        float, typer.Option(help="Of a distilled student: drop labels of a lower average precision in validation.")
    ] = 0.0,
    threads: Threads = 0,
) -> None:
    """Choose thresholds on what a checkpoint was not trained on."""
    if sum(map(bool, (scenes, data, ambience))) != 1:
        raise WrongUse(
            "give either --scenes POOL, or --data DIR (of a distilled student with --teacher), or --ambience DIR"
        )
    kind = kind_with_labels(checkpoint)
    listed = read_labels(labels) if labels else None
    if scenes:
        from_scenes(checkpoint, scenes, listed, most, out)
    elif ambience:
        from_ambience(checkpoint, ambience, alarms_per_day, out)
    elif kind == STUDENT:
        recordings = [recording for root in data or [] for recording in read_recordings(root)]
        facts = student_facts(checkpoint, recordings, teacher or [], listed, least)
        write(out, facts)
        judged = len(facts["metrics"]["step_average_precision"])
        print(f"wrote {out}: {len(facts['labels'])} labels, {judged} of them judged by validation")
    elif teacher or labels or least:
        raise WrongUse(
            f"{checkpoint}: is fine-tuned and has labels of its own; leave out --teacher, --labels and --least"
        )
    else:
        from_recordings(checkpoint, data or [], out)


def kind_with_labels(checkpoint: Path) -> str:
    """Which command made a checkpoint. Raises WrongUse, saying what would be right, where it has no labels."""
    if checkpoint.is_dir():
        raise WrongUse(f"{checkpoint}: is a folder; thresholds are chosen for a checkpoint, and go into its bundle")
    kind = checkpoint_kind(checkpoint)
    if kind not in (STUDENT, FINETUNED):
        raise WrongUse(f"{checkpoint}: is of the kind {kind!r} and knows no labels; fine-tune it with trainer.finetune")
    return kind


def from_scenes(checkpoint: Path, scenes: list[Path], listed: list[str] | None, most: int, out: Path) -> None:
    facts = pool_facts(checkpoint, [open_pool(folder) for folder in scenes], listed, most)
    write(out, facts)
    weak = len(facts["labels"]) - facts["metrics"]["labels_reported"]
    print(f"wrote {out}: {len(facts['labels'])} labels, {weak} of them experimental")


def from_ambience(checkpoint: Path, places: list[Path], wanted: float, out: Path) -> None:
    found = calibrated(open_model(checkpoint), recordings_in(places), wanted)
    known = f"{found.left_out} recordings left out, which {checkpoint} has learnt from or was tested on"
    warn([known] if found.left_out else [])
    write(out, found.facts())
    print("\n".join(found.lines(wanted)))
    print(f"wrote {out}: {len(found.changed)} of {len(found.outcomes)} thresholds raised by {found.hours:.2f} h")


def from_recordings(checkpoint: Path, data: list[Path], out: Path) -> None:
    chosen = thresholds_from(checkpoint, [with_sound(read_any(root)) for root in data])
    if chosen.heard is None:
        warn([cannot_know(str(checkpoint), ", ".join(map(str, data)))])
    warn([str(chosen.kept)] if chosen.kept.left_out else [])
    warn(weak_thresholds(chosen.thresholds, chosen.found, DEFAULT_ON))
    write(out, chosen.facts())
    print(f"wrote {out}: thresholds of {', '.join(chosen.thresholds)}, from {chosen.source}")


def write(out: Path, facts: dict[str, Any]) -> None:
    try:
        out.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"--out {out}: cannot be written ({error.strerror})") from None


if __name__ == "__main__":
    run("trainer.thresholds", main)
