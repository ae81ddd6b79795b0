"""One run of fine-tuning from beginning to end: trained, chosen by validation, tested once, saved, and summed up."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError
from trainer.data.clips.targets import MultiHot
from trainer.data.dataset import VALIDATION, Dataset
from trainer.data.decode import Chosen, LazyClips
from trainer.data.layouts.folder import write_table
from trainer.evaluation.content import Sketches, examined
from trainer.evaluation.evidence import evidence, listing, too_little, warnings, weak_thresholds
from trainer.evaluation.families import related
from trainer.evaluation.heard import HEARD, Heard, heard_before, without
from trainer.evaluation.metrics import mean_average_precision
from trainer.evaluation.results import evaluate, plain
from trainer.evaluation.scoring import DEFAULT_ON, ScoringModel, checkpoint_model
from trainer.evaluation.selection import choose_thresholds, decision_map, fast_scores
from trainer.finetuning.checkpoint import load_finetuned, save_finetuned
from trainer.finetuning.config import FinetuneConfig, same_run
from trainer.finetuning.loop import train
from trainer.finetuning.negatives import shipped
from trainer.finetuning.splits import Split
from trainer.finetuning.state import Running
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork
from trainer.run.command import warn
from trainer.run.ranks.distributed import Processes
from trainer.run.ranks.sharing import gathered, shared_out

Record = dict[str, Any]
"""What a run says of itself: its data, its thresholds, its results."""

DETECTION = ("psds1", "psds2", "miss_rate", "alarms_per_hour", "delay_p50", "delay_p95")
"""Results on strong labels that a record has."""


def fine_tune(
    dataset: Dataset,
    clips: Sequence[Samples],
    contents: Sketches,
    split: Split,
    config: FinetuneConfig,
    path: Path,
    processes: Processes,
) -> Record:
    """One run: trains, selects, tests, saves the checkpoint; returns its record.

    `contents` are those of all clips. Copies of what is trained on or chosen by are not tested on. Where the split is
    ours, the test recordings are listed in a table beside the checkpoint, which also keeps what was heard. Of several
    processes the first one tests and saves, and only its record is whole.
    """
    split, unusable = _without_damaged(dataset, split, config, processes)
    trained_on = np.concatenate((contents[split.train], heard_before(config.initial)))
    heard = Heard(trained_on, contents[split.validation], contents[split.test])
    left_out: dict[str, int] = {}
    if processes.first:
        split, left_out = _without_copies(dataset, contents, split, heard)
        heard = replace(heard, test=contents[split.test])
        warn(few_lines(dataset, split))
    training, held = dataset.choose(split.train), dataset.choose(split.validation)
    rate = config.spec.sample_rate
    lazy = isinstance(clips, LazyClips)
    own = LazyClips(training.recordings, rate) if lazy else [clips[index] for index in split.train]
    held_clips = LazyClips(held.recordings, rate) if lazy else [clips[index] for index in split.validation]
    labels, targets = dataset.labels, MultiHot(training.columns, len(dataset.categories))
    validate = _validation(dataset, held, held_clips, config, processes)
    events = training.events if dataset.strong else None
    steps = config.steps if config.epochs is None else config.epochs * max(len(training.recordings) // config.batch, 1)
    running = replace(config, steps=steps)
    names = [label.name for label in labels]
    judge = validate if split.validation else None
    learnt = hashlib.sha256(contents[split.train].tobytes() + targets.tobytes() + repr(events).encode())
    run = Running(path.stem, path.parent, learnt.hexdigest())
    negatives = shipped(names, related).to(processes.device) if config.negatives else None
    model = train(own, targets, running, processes, run, events, judge, names, negatives)
    record: Record = {
        "data": dataset.name,
        "trained_on_clips": len(split.train),
        "validated_on_clips": len(split.validation),
        "test_fold": split.fold,
    }
    if left_out:
        record["left_out"] = left_out
    if skipped := {**unusable, **run.skipped}:
        record["skipped"] = skipped
    if split.validation:
        record["validation"] = round(validate(model), 4)
    if not processes.first:
        return record
    if split.validation:
        record["few_validated"] = few(held)
        record["thresholds"] = choose_thresholds(checkpoint_model(path.stem, model, config, labels), held, held_clips)
    if negatives is not None and isinstance(model, StreamNetwork):
        starts = [record.get("thresholds", {}).get(name, (DEFAULT_ON,))[0] for name in names]
        record["taken_for"] = dict(zip(names, negatives.taken_for(model, starts), strict=True))
        record["negatives"] = len(negatives)
    if split.validation:
        warn(weak_thresholds(record["thresholds"], evidence(held), DEFAULT_ON))
    if split.test:
        record |= _tested(dataset.choose(split.test), checkpoint_model(path.stem, model, config, labels, record), path)
    save_finetuned(path, model.cpu(), running, labels, plain({**record, HEARD: heard.plain()}))
    run.close()
    return record


def _tested(tested: Dataset, model: ScoringModel, path: Path) -> Record:
    """What a record says of the test; where the split is ours, with a table of it beside the checkpoint."""
    record: Record = {"clips": len(tested.recordings), "few_tested": few(tested)}
    if not any(one.part for one in tested.recordings):
        record["tested_on"] = sorted(set(tested.groups))
        write_table(path.with_suffix(".csv"), tested)
    _, results = evaluate(model, tested)
    record["map"] = results["map"]["value"]
    if "accuracy" in results:
        record["accuracy"] = results["accuracy"]["value"]
    if "detection" in results:
        record |= {key: results["detection"][key] for key in DETECTION}
    return record


def _without_damaged(
    dataset: Dataset, split: Split, config: FinetuneConfig, processes: Processes
) -> tuple[Split, dict[str, str]]:
    """A split whose validation part has no clip of a shard that cannot be read, for which none can stand in; and those,
    by name, with the reason."""
    if not dataset.sharded:
        return split, {}
    mine = shared_out(split.validation, processes)
    _, wrong = examined(dataset.choose(mine).recordings, max(config.workers, 1), trusting=False)
    found = dict(gathered([(index, wrong.get(place)) for place, index in enumerate(mine)], processes))
    unusable = {dataset.recordings[index].shown: reason for index, reason in found.items() if reason is not None}
    if processes.first:
        warn([f"{split.name}: {name}: {reason}; left out of validation" for name, reason in unusable.items()])
    return replace(split, validation=[index for index in split.validation if found[index] is None]), unusable


def _without_copies(dataset: Dataset, contents: Sketches, split: Split, heard: Heard) -> tuple[Split, dict[str, int]]:
    """A split whose test has no copy of what was trained on or is chosen by, and how many clips that leaves out."""
    kept = without(dataset.choose(split.test), contents[split.test], heard.before_testing)
    warn([f"{split.name}: {kept}"] if kept.left_out else [])
    return replace(split, test=[split.test[index] for index in kept.indices]), kept.left_out


def few(dataset: Dataset) -> dict[str, int]:
    """Recordings of the classes that have too few of them for figures to be trusted."""
    return {one.label: one.recordings for one in too_little(evidence(dataset))}


def few_lines(dataset: Dataset, split: Split) -> list[str]:
    """What to say where the validation or test part of a run is too small."""
    held, tested = dataset.choose(split.validation), dataset.choose(split.test)
    lines: list[str] = []
    if split.validation:
        published = held.recordings[0].part == VALIDATION
        remedy = "" if published else "; --set validation=0.3 gives validation more of them"
        lines += warnings("validation", evidence(held), "weights and thresholds rest on them", remedy)
    if split.test:
        published = tested.recordings[0].part is not None
        remedy = "" if published else "; --test-share 0.4 gives the test more of them"
        lines += warnings("test", evidence(tested), "its figures rest on them", remedy)
    return lines


def _validation(
    dataset: Dataset, held: Dataset, clips: Sequence[Samples], config: FinetuneConfig, processes: Processes
) -> Callable[[FinetunedNetwork], float]:
    """By what weights are chosen, higher is better: accuracy where a clip has one class, else average precision.

    Each process scores its share of the clips; what comes out is known to all.
    """
    mine = Chosen(clips, shared_out(range(len(clips)), processes))

    def validate(model: FinetunedNetwork) -> float:
        if dataset.strong or config.student is not None:
            scorer = checkpoint_model("validation", model, config, dataset.labels)
            if dataset.strong:
                return decision_map(gathered([scorer.timeline(clip) for clip in mine], processes), held)
            made = list(scorer.clips(mine)) if len(mine) else []
        else:
            made = list(fast_scores(model, mine, config, processes.device)) if len(mine) else []
        scores = np.stack(gathered(made, processes))
        if dataset.single_label:
            return float((scores.argmax(axis=1) == held.targets.argmax(axis=1)).mean())
        return mean_average_precision(scores, held.targets > 0)

    return validate


def finished(path: Path, config: FinetuneConfig, split: Split) -> Record | None:
    """The record of a run that is already there; None if it is not, or was made with other settings."""
    if not path.is_file():
        return None
    try:
        _, saved, _, record = load_finetuned(path)
    except AsitEdgeError:
        return None
    if config.epochs is not None:
        saved = replace(saved, steps=config.steps)
    record.pop(HEARD, None)
    return record if same_run(saved, config) and record.get("trained_on_clips") == len(split.train) else None


def summary(records: dict[str, dict[int, Record]]) -> str:
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


def mistaken(records: dict[str, dict[int, Record]]) -> list[str]:
    """A line a run that was held against negatives: for which class how many of them would be taken."""
    return [
        f"{name}: of {record['negatives']:,} other sounds that come with the model it would take for "
        + listing([f"{label} {count}" for label, count in record["taken_for"].items()])
        for name, by_seed in records.items()
        for record in by_seed.values()
        if "taken_for" in record
    ]


def few_tested(records: dict[str, dict[int, Record]]) -> list[str]:
    """A line a run whose test had too few recordings of some class, with their number."""
    return [
        f"{name}: few recordings were tested on: "
        + listing([f"{label} {count}" for label, count in record["few_tested"].items()])
        for name, by_seed in records.items()
        for record in by_seed.values()
        if record.get("few_tested")
    ]
