"""Fine-tuning on a task: `python -m trainer.finetune TASK --data DIR --out DIR`.

Every fold and seed is a run: train, choose weights and thresholds on recordings that are neither trained nor tested on,
test once, save. A run that is already in OUT with the same settings is not repeated.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.data.dataset import with_sound
from trainer.data.decode import LazyClips
from trainer.evaluation.content import sketches
from trainer.evaluation.evidence import single_recordings
from trainer.evaluation.experiment import Record, few_tested, fine_tune, finished, summary
from trainer.evaluation.results import plain
from trainer.finetuning.recipes import TASKS, configure
from trainer.finetuning.splits import plan
from trainer.run.command import Threads, run, warn


def main(
    task: Annotated[str, typer.Argument(help=", ".join(TASKS))],
    data: Annotated[Path, typer.Option(help="The data set as its publisher ships it, or your own folder.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and results.json.")],
    recipe: Annotated[
        str | None, typer.Option(help="Another task's recipe, or detector; default: the task's own.")
    ] = None,
    test_fold: Annotated[
        list[int] | None, typer.Option(help="Train without this fold and test on it; repeat for more; default all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Test on nothing.")] = False,
    test_share: Annotated[float, typer.Option(help="Share of recordings to test on, where there is no part.")] = 0.2,
    split_by_file: Annotated[
        bool, typer.Option("--split-by-file", help="Every file is a recording of its own: split between any two.")
    ] = False,
    size: Annotated[str | None, typer.Option(help="Model size: nano, tiny, small or base.")] = None,
    initial: Annotated[
        Path | None,
        typer.Option(
            help="Weights to begin with: of trainer.pretrain, ASiT's authors, timm, DeiT, or a student of "
            "trainer.distill. Default: none; for a folder the student that comes with the trainer."
        ),
    ] = None,
    head: Annotated[str | None, typer.Option(help="clip: a score a window; frame: one every 160 ms.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of epochs.")] = None,
    batch: Annotated[int | None, typer.Option(min=1)] = None,
    lr: Annotated[float | None, typer.Option(min=0.0)] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeat for several runs of each fold; default 0.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of trainer/finetuning/config.py; repeat for more.")
    ] = None,
    threads: Threads = 0,
) -> None:
    """Fine-tune a backbone or a student on a task and test it on what it has not heard."""
    if task not in TASKS:
        raise WrongUse(f"{task}: unknown task{nearest(task, list(TASKS))}")
    if not 0 < test_share < 1:
        raise WrongUse(f"--test-share {test_share}: must be above 0 and below 1")
    options = {"head": head, "epochs": epochs, "steps": steps, "batch": batch, "learning_rate": lr}
    config = configure(task, recipe, initial, size, options, settings or [])
    dataset = with_sound(TASKS[task].read(data))
    if config.loss == "ce" and not dataset.single_label:
        raise WrongUse(f"{data}: clips have several classes or none, which needs --set loss=bce")
    seeds = seed or [config.seed]
    splits = {
        number: list(
            plan(dataset, replace(config, seed=number), test_fold or [], everything, test_share, split_by_file)
        )
        for number in seeds
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"--out {out}: cannot be made ({error.strerror})") from None
    warn(single_recordings(dataset))
    rate = config.spec.sample_rate
    contents = sketches(dataset.recordings, max(config.workers, 1))
    clips: Sequence[Samples] = LazyClips(dataset.recordings, rate) if config.workers else dataset.load(rate)
    records: dict[str, dict[int, Record]] = {}
    for number in seeds:
        for split in splits[number]:
            own = replace(config, seed=number)
            path = out / (f"{split.name}.pt" if len(seeds) == 1 else f"{split.name}-seed{number}.pt")
            record = finished(path, own, split)
            if record is None:
                record = fine_tune(dataset, clips, contents, split, own, path)
                print(f"saved {path}")
            records.setdefault(split.name, {})[number] = record
    print(summary(records))
    warn(few_tested(records))
    content = {"task": task, "config": asdict(config), "runs": records}
    (out / "results.json").write_text(json.dumps(plain(content), indent=1), encoding="utf-8")


if __name__ == "__main__":
    run("trainer.finetune", main)
