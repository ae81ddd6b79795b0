"""The yardstick: `python -m trainer.yardstick MODEL... --data DIR... [--esc50 DIR] [--yamnet FILE] [--out DIR]`.

What models are worth on collections that nothing here learns from (`trainer/left_out.txt`), and published models beside
them under the same code. `trainer.evaluation.yardstick` says how.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from asit_edge.errors import WrongUse
from trainer.data.audioset import read_labels
from trainer.data.dataset import Dataset
from trainer.data.layouts.collections import read_recordings
from trainer.data.layouts.esc50 import read_esc50
from trainer.data.left_out import read_collections
from trainer.evaluation.results import Json, choose_part, plain
from trainer.evaluation.scoring import SoundModel, open_model
from trainer.evaluation.yardstick.measure import PARTS, make_yardstick, measure, who_agrees
from trainer.evaluation.yardstick.tables import CHOSEN_BY, LEFT_OUT, by_label, tables
from trainer.run.command import Threads, run
from trainer.teachers.peers import MeanOfPeers, open_efficientat, open_yamnet

EVERYDAY = Path(__file__).with_name("everyday.txt")


def open_models(paths: list[Path]) -> Iterator[SoundModel]:
    """Bundles by the name that they have, checkpoints by folder and file."""
    for path in paths:
        if not path.exists():
            raise WrongUse(f"{path}: no such checkpoint or bundle")
        model = open_model(path)
        yield model if path.is_dir() else replace(model, name=f"{path.resolve().parent.name}/{path.stem}")


def main(
    models: Annotated[list[Path] | None, typer.Argument(help="Checkpoints and directories of bundles.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Pools with the left-out collections; repeat.")] = None,
    esc50: Annotated[Path | None, typer.Option(help="A folder in the ESC-50 layout.")] = None,
    fold: Annotated[int, typer.Option(help="Its fold that nobody has learnt from.")] = 5,
    yamnet: Annotated[Path | None, typer.Option(help="YAMNet's TFLite file.")] = None,
    efficientat: Annotated[Path | None, typer.Option(help="An EfficientAT state dict, such as mn04's.")] = None,
    choose_by: Annotated[
        Path | None, typer.Option(help="List of collections to choose models by; measured in place of the left-out.")
    ] = None,
    labels: Annotated[Path, typer.Option(help="Labels that matter; kinds of them count too.")] = EVERYDAY,
    hours: Annotated[float, typer.Option(min=0.0, max=10.0, help="Of scenes in which false alarms are counted.")] = 1.0,
    part: Annotated[list[str] | None, typer.Option(help=f"Only these of {', '.join(PARTS)}; repeat.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results.json, tables, and what peers scored.")] = None,
    threads: Threads = 0,
) -> None:
    """Hold models to collections that they have not learnt from."""
    if not data:
        raise WrongUse("--data: name the pools that have the left-out collections")
    if unknown := set(part or ()) - set(PARTS):
        raise WrongUse(f"--part {min(unknown)}: must be one of {', '.join(PARTS)}")
    wanted = read_labels(labels)
    ten: Dataset | None = choose_part(read_esc50(esc50), str(fold)) if esc50 else None
    recordings = [recording for root in data for recording in read_recordings(root)]
    chosen_by = read_collections(choose_by) if choose_by else ()
    yardstick = make_yardstick(recordings, wanted, ten, hours, part or PARTS, chosen_by)
    cache = out and out / "peers"
    peers: list[SoundModel] = [open_efficientat(efficientat, cache)] if efficientat else []
    peers += [open_yamnet(yamnet, cache)] if yamnet else []
    both: list[SoundModel] = [MeanOfPeers(peers)] if len(peers) > 1 else []
    opened = [*open_models(models or []), *peers, *both]
    names = [model.name for model in opened]
    if not opened:
        raise WrongUse("name a checkpoint, a bundle, --yamnet or --efficientat: there is nothing to measure")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise WrongUse(f"two models are called {twice!r}; measure them in two runs")
    agreed = who_agrees(peers, yardstick)
    results: dict[str, Json] = {}
    for model in opened:
        own = results[model.name] = {}
        with tqdm(desc=model.name, unit=" parts", file=sys.stderr) as progress:
            for name, result in measure(model, yardstick, agreed):
                own[name] = plain(result)
                progress.set_postfix_str(f"{name} done")
                progress.update()
                if out is not None:  # after every part: what an interrupted run has measured is there
                    out.mkdir(parents=True, exist_ok=True)
                    (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = tables(results, CHOSEN_BY if chosen_by else LEFT_OUT)
    print(text)
    if out is not None:
        (out / "tables.md").write_text(text, encoding="utf-8")
        for name in {"clips", "scenes", "folds", "same"} & set(next(iter(results.values()))):
            (out / f"{name}.md").write_text(by_label(results, name), encoding="utf-8")
        print(f"wrote {out / 'results.json'} and tables", file=sys.stderr)


if __name__ == "__main__":
    run("trainer.yardstick", main)
