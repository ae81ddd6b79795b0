"""Fine-tuning on a task: `python -m trainer.finetune TASK --data DIR --out DIR`.

Every fold and seed is a run: train, choose weights and thresholds on recordings that are neither trained nor tested on,
test once, save. A run that is already in OUT with the same settings is not repeated.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.validation import nearest
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Dataset, split_by_group
from trainer.data.decode import LazyClips
from trainer.data.layouts.folder import write_table
from trainer.evaluation.metrics import mean_average_precision
from trainer.evaluation.results import evaluate, plain
from trainer.evaluation.scoring import checkpoint_model
from trainer.evaluation.selection import choose_thresholds, decision_map, fast_scores
from trainer.finetuning.checkpoint import load_classifier, save_classifier
from trainer.finetuning.config import FinetuneConfig, parse_settings, same_run, with_settings
from trainer.finetuning.loop import train
from trainer.finetuning.recipes import EVERYDAY_STUDENT, RECIPES, TASKS, student_recipe
from trainer.models.classifier import Network
from trainer.models.pretrained import stored_backbone
from trainer.run.command import run
from trainer.students.student import is_student, load_student


@dataclass(frozen=True)
class Split:
    """Indices of the clips of one run."""

    name: str
    train: list[int]
    validation: list[int]
    test: list[int]
    fold: int | None = None


def plan(
    dataset: Dataset,
    config: FinetuneConfig,
    folds: list[int],
    everything: bool,
    test_share: float,
    force: bool = False,
) -> Iterator[Split]:
    """The splits to run: by the publisher's folds or parts, else by recording.

    Raises WrongUse where a fold does not exist, or where recordings are needed and not known.
    """
    indices = list(range(len(dataset.recordings)))
    parts = {part: [i for i in indices if dataset.recordings[i].part == part] for part in (TRAIN, VALIDATION, TEST)}
    if unknown := set(folds) - set(dataset.folds):
        known = f"folds {', '.join(map(str, dataset.folds))}" if dataset.folds else "no folds"
        raise WrongUse(f"--test-fold {min(unknown)}: the data has {known}")
    if everything:
        yield _validated("everything", dataset, config, indices, [], None, force)
    elif dataset.folds:
        for fold in folds or dataset.folds:
            test = [i for i in indices if dataset.recordings[i].fold == fold]
            rest = [i for i in indices if dataset.recordings[i].fold != fold]
            yield _validated(f"fold{fold}", dataset, config, rest, test, fold, force)
    elif parts[TEST]:
        apart = {*parts[TEST], *parts[VALIDATION]}
        rest = [i for i in indices if i not in apart]
        if parts[VALIDATION]:
            yield Split("test", rest, parts[VALIDATION] if config.validation else [], parts[TEST])
        else:
            yield _validated("test", dataset, config, rest, parts[TEST], None, force)
    else:
        rest, test = split_by_group(dataset, test_share, config.seed, force)
        yield _validated("test", dataset, config, rest, test, None, force)


def _validated(
    name: str, dataset: Dataset, config: FinetuneConfig, rest: list[int], test: list[int], fold: int | None, force: bool
) -> Split:
    if not config.validation:
        return Split(name, rest, [], test, fold)
    train, validation = split_by_group(dataset.choose(rest), config.validation, config.seed, force)
    return Split(name, [rest[i] for i in train], [rest[i] for i in validation], test, fold)


def fine_tune(
    dataset: Dataset, clips: Sequence[Samples], split: Split, config: FinetuneConfig, path: Path
) -> dict[str, Any]:
    """One run: trains, selects, tests, saves the checkpoint; returns its record.

    Where the split is ours, the test recordings are listed in a table beside the checkpoint.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    training, held = dataset.choose(split.train), dataset.choose(split.validation)
    rate = config.spec.sample_rate
    own = LazyClips(training.recordings, rate) if config.workers else [clips[index] for index in split.train]
    held_clips = LazyClips(held.recordings, rate) if config.workers else [clips[index] for index in split.validation]
    labels = dataset.labels

    def validate(model: Network) -> float:
        if dataset.strong or config.student is not None:
            scorer = checkpoint_model("validation", model, config, labels)
            if dataset.strong:
                return decision_map([scorer.timeline(clip) for clip in held_clips], held)
            scores = scorer.clips(held_clips)
        else:
            scores = fast_scores(model, held_clips, config, device)
        if dataset.single_label:
            return float((scores.argmax(axis=1) == held.targets.argmax(axis=1)).mean())
        return mean_average_precision(scores, held.targets > 0)

    events = training.events if dataset.strong else None
    steps = config.steps if config.epochs is None else config.epochs * max(len(training.recordings) // config.batch, 1)
    running = replace(config, steps=steps)
    names = [label.name for label in labels]
    judge = validate if split.validation else None
    model = train(own, training.targets, running, device, path.stem, events, judge, names)
    record: dict[str, Any] = {
        "data": dataset.name,
        "trained_on_clips": len(split.train),
        "validated_on_clips": len(split.validation),
        "test_fold": split.fold,
    }
    if split.validation:
        record["validation"] = round(validate(model), 4)
        record["thresholds"] = choose_thresholds(checkpoint_model(path.stem, model, config, labels), held, held_clips)
    if split.test:
        tested = dataset.choose(split.test)
        if not any(one.part for one in tested.recordings):
            record["tested_on"] = sorted(set(tested.groups))
            write_table(path.with_suffix(".csv"), tested)
        _, results = evaluate(checkpoint_model(path.stem, model, config, labels, record), tested)
        record |= {"clips": len(split.test), "map": results["map"]["value"]}
        if "accuracy" in results:
            record["accuracy"] = results["accuracy"]["value"]
        if "detection" in results:
            keys = ("psds1", "psds2", "miss_rate", "alarms_per_hour", "delay_p50", "delay_p95")
            record |= {key: results["detection"][key] for key in keys}
    save_classifier(path, model.cpu(), running, labels, plain(record))
    return record


def finished(path: Path, config: FinetuneConfig, split: Split) -> dict[str, Any] | None:
    """The record of a run that is already there; None if it is not, or was made with other settings."""
    if not path.is_file():
        return None
    try:
        _, saved, _, record = load_classifier(path)
    except AsitEdgeError:
        return None
    if config.epochs is not None:
        saved = replace(saved, steps=config.steps)
    return record if same_run(saved, config) and record.get("trained_on_clips") == len(split.train) else None


def summary(records: dict[str, dict[int, dict[str, Any]]]) -> str:
    """A line a fold with every seed, and the means over folds: mean and deviation over seeds."""
    first = next(iter(next(iter(records.values())).values()))
    key = "accuracy" if "accuracy" in first else "map"
    if key not in first:
        return "nothing was tested"
    title = "accuracy" if key == "accuracy" else "mAP"
    lines = []
    for name, by_seed in records.items():
        values = " ".join(f"{record[key]:.3f}" for record in by_seed.values())
        lines.append(f"{name}: {title} {values} on {next(iter(by_seed.values()))['clips']} clips")
    seeds = list(next(iter(records.values())))
    means = [float(np.mean([by_seed[seed][key] for by_seed in records.values()])) for seed in seeds]
    if len(records) > 1 or len(seeds) > 1:
        spread = f", deviation over {len(seeds)} seeds {np.std(means, ddof=1):.3f}" if len(seeds) > 1 else ""
        lines.append(f"mean: {title} {np.mean(means):.3f}{spread}")
    return "\n".join(lines)


def configure(
    task: str, recipe: str | None, initial: Path | None, size: str | None, options: dict[str, Any], pairs: list[str]
) -> FinetuneConfig:
    """The recipe with what was asked for instead. The size is that of the weights to begin with, if there are any.

    A distilled student that is begun with has a recipe of its own. One's own sounds begin with the student that comes
    with the trainer, unless something else is asked for.
    """
    if recipe is not None and recipe not in RECIPES:
        raise WrongUse(f"--recipe {recipe}: unknown{nearest(recipe, list(RECIPES))}")
    if task == "folder" and recipe is None and size is None and initial is None:
        initial = EVERYDAY_STUDENT
        if not initial.is_file():
            raise WrongUse(
                f"{initial.name}: is in the repository, not in the installed package; give --initial or --size"
            )
    config = TASKS[task].recipe if recipe is None else RECIPES[recipe]
    if initial is not None and is_student(initial):
        if recipe is not None or size is not None:
            raise WrongUse(f"--initial {initial}: a student brings its size and recipe; leave out --size and --recipe")
        config = student_recipe(load_student(initial)[1])
    settings = {key: value for key, value in options.items() if value is not None}
    if "steps" in settings and "epochs" not in settings and config.epochs is not None:
        if config.schedule == "halving" or config.average_from is not None:
            raise WrongUse("--steps: this recipe counts epochs (halving, averaging); use --epochs")
        config = replace(config, epochs=None)
    if initial is not None:
        settings["initial"] = str(initial)
        if config.student is None:
            size = size or stored_backbone(initial)[0]
    if size is not None:
        settings["size"] = size
    return with_settings(config, settings | parse_settings(pairs))


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
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """Fine-tune a backbone or a student on a task and test it on what it has not heard."""
    if task not in TASKS:
        raise WrongUse(f"{task}: unknown task{nearest(task, list(TASKS))}")
    if not 0 < test_share < 1:
        raise WrongUse(f"--test-share {test_share}: must be above 0 and below 1")
    if threads:
        torch.set_num_threads(threads)
    options = {"head": head, "epochs": epochs, "steps": steps, "batch": batch, "learning_rate": lr}
    config = configure(task, recipe, initial, size, options, settings or [])
    dataset = TASKS[task].read(data)
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
    rate = config.spec.sample_rate
    clips: Sequence[Samples] = LazyClips(dataset.recordings, rate) if config.workers else dataset.load(rate)
    records: dict[str, dict[int, dict[str, Any]]] = {}
    for number in seeds:
        for split in splits[number]:
            own = replace(config, seed=number)
            path = out / (f"{split.name}.pt" if len(seeds) == 1 else f"{split.name}-seed{number}.pt")
            record = finished(path, own, split)
            if record is None:
                record = fine_tune(dataset, clips, split, own, path)
                print(f"saved {path}")
            records.setdefault(split.name, {})[number] = record
    print(summary(records))
    content = {"task": task, "config": asdict(config), "runs": records}
    (out / "results.json").write_text(json.dumps(plain(content), indent=1), encoding="utf-8")


if __name__ == "__main__":
    run("trainer.finetune", main)
