"""Evaluation of checkpoints and bundles on labelled recordings, through the very path that a device takes.

What a checkpoint was trained on is not scored, wherever a copy of it lies.

`python -m trainer.evaluate CKPT|BUNDLE DATA [--part N] [--out DIR]`. Clips: average precision, AUC, d-prime, accuracy,
confusion. Strong labels: PSDS, event F1, and what a device cares about: delay, false alarms, misses, flicker.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from asit_edge.errors import WrongUse
from trainer.data.dataset import TEST, Dataset, with_sound
from trainer.data.layouts.detect import read_any
from trainer.evaluation.evidence import evidence, warnings
from trainer.evaluation.heard import cannot_know, heard_by, unheard
from trainer.evaluation.results import Json, Scored, choose_part, default_parts, evaluate, plain, table
from trainer.evaluation.scoring import open_model
from trainer.run.command import Threads, run, warn


def main(
    model: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune, or directory of a model bundle.")],
    data: Annotated[Path, typer.Argument(help="ESC-50's layout, a folder of classes, a table, or soundscapes.")],
    part: Annotated[
        list[str] | None,
        typer.Option(help="Only these parts (folds, or test); default: the fold or part that is for testing."),
    ] = None,
    others: Annotated[
        bool, typer.Option(help="Count events of classes that the data do not have as false alarms.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json and report.html.")] = None,
    threads: Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, not a table.")] = False,
) -> None:
    """What a model is worth on labelled recordings."""
    opened, dataset = open_model(model), with_sound(read_any(data))
    parts: Sequence[str | None] = part or default_parts(opened, dataset)
    results: dict[str, Json] = {}
    scored: dict[str, Scored] = {}
    clips: dict[str, Dataset] = {}
    unknown = [] if heard_by(opened.record) else [cannot_know(str(model), str(data))]
    warn(unknown)
    for name in parts:
        there = choose_part(dataset, name) if name is not None else dataset
        kept = unheard(there, opened.record)
        title = name or (TEST if kept.left_out else "all")
        title = f"fold{title}" if title.isdigit() else title
        if not kept.indices:
            raise WrongUse(f"{data}: nothing to test on ({kept}); give recordings that {model} has not heard")
        if kept.left_out:
            print(f"{title}: {kept}", file=sys.stderr)
        clips[title] = there.choose(kept.indices)
        few = warnings(data.name if title == "all" else title, evidence(clips[title]), "its figures rest on them")
        warn(few)
        scored[title], results[title] = evaluate(opened, clips[title], others)
        results[title] |= {"left_out": kept.left_out, "warnings": unknown + few}
    content = plain({"model": str(model), "name": opened.name, "data": data.name, "parts": results})
    if as_json:
        print(json.dumps(content))
    else:
        for title, result in results.items():
            print(f"{title}: {table(result)}\n")
        if len(results) > 1 and all("accuracy" in result for result in results.values()):
            print(f"mean: accuracy {np.mean([result['accuracy']['value'] for result in results.values()]):.3f}")
    if out is not None:
        from trainer.evaluation.report.page import write_report

        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        write_report(out / "report.html", opened, clips, scored, results)
        print(f"wrote {out / 'results.json'} and {out / 'report.html'}", file=sys.stderr)


if __name__ == "__main__":
    run("trainer.evaluate", main)
