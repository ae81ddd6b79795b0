"""Fine-tuning on a task: `python -m trainer.finetune TASK --data DIR --out DIR`, also under torchrun.

Every fold and seed is a run: train, choose weights and thresholds on recordings that are neither trained nor tested on,
test once, save. A run that is already in OUT with the same settings is not repeated.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.data.dataset import Dataset, with_sound, without_problems
from trainer.data.decode import LazyClips
from trainer.evaluation.content import Sketches, examined
from trainer.evaluation.evidence import single_recordings
from trainer.evaluation.experiment import Record, few_tested, fine_tune, finished, mistaken, summary
from trainer.evaluation.results import plain
from trainer.finetuning.config import FinetuneConfig
from trainer.finetuning.recipes import TASKS, configure
from trainer.finetuning.splits import Split, plan
from trainer.run.command import Threads, run, warn
from trainer.run.ranks.agreement import Facts, alike, code_version
from trainer.run.ranks.distributed import PATIENCE, Processes, from_all, from_first, joined_processes
from trainer.run.ranks.sharing import shared_out

NO_NEGATIVES = (
    "what asit-warm-tiny ships of other sounds are embeddings, of use only to that student with its body as it was; "
    "here only your own clips of other sounds count (folders whose names begin with _): hours of ambience help"
)


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
            "trainer.distill. Default: none; for a folder that of asit-warm-tiny, which comes with the trainer."
        ),
    ] = None,
    head: Annotated[str | None, typer.Option(help="clip: a score a window; frame: one every 160 ms.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of epochs.")] = None,
    batch: Annotated[int | None, typer.Option(min=1)] = None,
    lr: Annotated[float | None, typer.Option(min=0.0)] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeat for several runs of each fold; default 0.")] = None,
    no_negatives: Annotated[
        bool, typer.Option("--no-negatives", help="folder: hold no other sounds than your own against it.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of trainer/finetuning/config.py; repeat for more.")
    ] = None,
    threads: Threads = 0,
) -> None:
    """Fine-tune a backbone or a student on a task and test it on what it has not heard."""
    if task not in TASKS:
        raise WrongUse(f"{task}: unknown task{nearest(task, list(TASKS))}")
    _check_share(test_share)
    options = {"head": head, "epochs": epochs, "steps": steps, "batch": batch, "learning_rate": lr}
    config = configure(task, recipe, initial, size, options, settings or [], not no_negatives)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"--out {out}: cannot be made ({error.strerror})") from None
    with joined_processes(PATIENCE) as processes:
        if config.negatives and processes.count > 1:
            raise WrongUse("other sounds that come with the model are for one process; add --no-negatives")

        def split(dataset: Dataset) -> dict[int, list[Split]]:
            return {
                number: list(
                    plan(dataset, replace(config, seed=number), test_fold or [], everything, test_share, split_by_file)
                )
                for number in seed or [config.seed]
            }

        def look() -> tuple[tuple[Dataset, dict[int, list[Split]]], Facts]:
            dataset = with_sound(TASKS[task].read(data))
            if config.loss == "ce" and not dataset.single_label:
                raise WrongUse(f"{data}: clips have several classes or none, which needs --set loss=bce")
            return (dataset, split(dataset)), {"data": dataset.facts, "code": {"version": code_version()}}

        dataset, splits = alike(processes, look)
        contents, problems = _examined(dataset, config, processes)
        skipped = {dataset.recordings[index].shown: reason for index, reason in problems.items()}
        if problems:
            contents = np.delete(contents, list(problems), axis=0)
            dataset = without_problems(dataset, problems)
            splits = split(dataset)
        if processes.first:
            warn(single_recordings(dataset))
            warn([NO_NEGATIVES] if task == "folder" and not (config.negatives or no_negatives) else [])
        records = _series(dataset, contents, splits, config, out, processes)
        if processes.first:
            _tell(task, config, records, skipped, out)


def _examined(dataset: Dataset, config: FinetuneConfig, processes: Processes) -> tuple[Sketches, dict[int, str]]:
    """What every clip sounds like, and which cannot be learnt from; each process looks at its share."""
    mine = shared_out(range(len(dataset.recordings)), processes)
    made = from_all(examined(dataset.choose(mine).recordings, max(config.workers, 1)))
    contents = np.zeros((len(dataset.recordings), *made[0][0].shape[1:]), np.uint8)
    problems: dict[int, str] = {}
    for rank, (own, wrong) in enumerate(made):
        contents[rank :: len(made)] = own
        problems |= {rank + place * len(made): reason for place, reason in wrong.items()}
    return contents, dict(sorted(problems.items()))


def _tell(
    task: str, config: FinetuneConfig, records: dict[str, dict[int, Record]], skipped: dict[str, str], out: Path
) -> None:
    """The results, for people and in `results.json`."""
    print(summary(records))
    for line in mistaken(records):
        print(line)
    warn(few_tested(records))
    _write(out, task, config, records, skipped)


def _write(
    out: Path, task: str, config: FinetuneConfig, records: dict[str, dict[int, Record]], skipped: dict[str, str]
) -> None:
    """OUT/results.json."""
    content: dict[str, Any] = {"task": task, "config": asdict(config), "runs": records}
    if skipped:
        content["skipped"] = skipped
        print(f"{len(skipped)} recordings could not be learnt from; they are named in {out / 'results.json'}")
    (out / "results.json").write_text(json.dumps(plain(content), indent=1), encoding="utf-8")


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise WrongUse(f"--test-share {share}: must be above 0 and below 1")


def _series(
    dataset: Dataset,
    contents: Sketches,
    splits: dict[int, list[Split]],
    config: FinetuneConfig,
    out: Path,
    processes: Processes,
) -> dict[str, dict[int, Record]]:
    """The records of all runs by split and seed; those that are there already are not repeated."""
    rate = config.spec.sample_rate
    lazy = config.workers or dataset.sharded
    clips: Sequence[Samples] = LazyClips(dataset.recordings, rate) if lazy else dataset.load(rate)
    records: dict[str, dict[int, Record]] = {}
    for number in splits:
        for one in splits[number]:
            own = replace(config, seed=number)
            path = out / (f"{one.name}.pt" if len(splits) == 1 else f"{one.name}-seed{number}.pt")
            record = from_first(finished(path, own, one) if processes.first else None)
            if record is None:
                record = fine_tune(dataset, clips, contents, one, own, path, processes)
                if processes.first:
                    print(f"saved {path}")
            records.setdefault(one.name, {})[number] = record
    return records


if __name__ == "__main__":
    run("trainer.finetune", main)
