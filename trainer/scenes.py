"""Scenes to learn from: `python -m trainer.scenes POOL --data DIR... --teacher FILE... --live FILE...`.

Recordings are mixed into scenes of a few seconds, teachers hear every one, and both are kept for
`python -m trainer.distill --scenes POOL`. What the list of left-out collections names takes no part. A command that was
stopped goes on where it was.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import read_collections
from trainer.data.scenes import SceneConfig
from trainer.distillation.material import scene_material
from trainer.distillation.pool import SCENES, write_pool
from trainer.run.command import Threads, run
from trainer.students.config import DistillConfig
from trainer.teachers.assignment import read_assigned
from trainer.teachers.together import SceneTeachers


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the pool; one that is there goes on.")],
    data: Annotated[list[Path], typer.Option(help="Collection of recordings (manifest.csv or ESC-50 layout); repeat.")],
    live: Annotated[list[Path], typer.Option(help="Teacher that hears every scene: EfficientAT or YAMNet; repeat.")],
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Stored scores or a teacher of recordings: says where labels are; repeat.")
    ] = None,
    assign: Annotated[
        Path | None,
        typer.Option(help="YAML, label: teacher's file; in these labels that live teacher alone has a say."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Scenes; made up to whole files.")] = 4096,
    seconds: Annotated[float, typer.Option(min=0.96, max=60.0, help="Length of a scene.")] = 9.6,
    focus: Annotated[Path | None, typer.Option(help="Labels that matter; the others are heard less often.")] = None,
    test_fold: Annotated[int | None, typer.Option(help="Fold (ESC-50 layout) that is left out.")] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Of the recordings that training never hears, to choose by.")
    ] = False,
    choose_by: Annotated[
        Path | None,
        typer.Option(help="List of collections that training never hears; --validation draws from them alone."),
    ] = None,
    least: Annotated[int, typer.Option(min=1, help="Independent recordings that a label needs.")] = 3,
    speed: Annotated[float, typer.Option(min=0.0, max=0.5, help="Sounds are played up to this share faster.")] = 0.4,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
    seed: Annotated[int, typer.Option()] = 0,
    share: Annotated[
        tuple[int, int], typer.Option(help="K N: make every N-th file from the K-th on; for several processes.")
    ] = (0, 1),
    threads: Threads = 1,
) -> None:
    """Mix recordings into scenes and keep what teachers say of them."""
    if not 0 <= share[0] < share[1]:
        raise WrongUse(f"--share {share[0]} {share[1]}: K must be from 0 to N - 1")
    recordings = [recording for root in data for recording in read_recordings(root)]
    recordings = [recording for recording in recordings if sharealike or not recording.sharealike]
    steps = max(round(seconds / 0.32) * 2, 6)
    config = DistillConfig(
        live=[str(file) for file in live],
        test_fold=test_fold,
        focus=read_labels(focus) if focus else [],
        chosen_by=sorted(read_collections(choose_by)) if choose_by else [],
        scenes=SceneConfig(steps=steps, speed=speed, most=7),
    )
    sampler, labels, sources = scene_material(recordings, teacher or [], config, out.parent, validation, least)
    assigned = read_assigned(assign) if assign else {}
    teachers = SceneTeachers(live, labels, config.spec.sample_rate, assigned)
    about = {
        "labels": labels,
        "steps": steps,
        "seed": seed,
        "teachers": [file.name for file in live],
        "part": "validation" if validation else "training",
        "test_fold": test_fold,
        **({"chosen_by": config.chosen_by} if config.chosen_by else {}),
        "recordings": sources,
        **({"assigned": assigned} if assigned else {}),
    }
    print(f"{len(labels)} labels; {sum(sources.values())} recordings of {len(sources)} collections", file=sys.stderr)
    write_pool(out, sampler, teachers, about, count, seed, share)
    print(f"{out}: {-(-count // SCENES) * SCENES} scenes of {steps * 0.16:g} s")


if __name__ == "__main__":
    run("trainer.scenes", main)
