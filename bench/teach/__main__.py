"""How good taught sounds are: `python -m bench.teach BUNDLE --data DIR... [--esc50 DIR --fold 5] [--yamnet FILE]`.

For labels of recordings that the bundle's model has not learnt from (collections of `trainer/left_out.txt`, a fold that
was left out), sounds are taught from a few takes as `asit-edge teach` does it, and held against all other clips and
against hours in which they do not sound: real places and speech, and scenes that are mixed, told apart. Beside it the
same with YAMNet's embedding (the layer before its classifier), under the same rule, with negatives of the same
recordings, and with fine-tuning in the lab. Takes and the clips to be found never are of one recording.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.teach.ears import BundleEar, Spoken, YamNetEar, pieces
from bench.teach.lab import measure_lab
from bench.teach.trials import Clip, Figures, cut, measure
from trainer.data.audioset import read_labels
from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import original, split_left_out
from trainer.data.recording import Role
from trainer.evaluation.yardstick.listening import Listening, ambience, scene_library, scenes_of
from trainer.run.command import run

LONG_SEED = 11


def main(
    bundle: Annotated[Path, typer.Argument(help="Directory or name of a bundle that can be taught.")],
    data: Annotated[list[Path] | None, typer.Option(help="Pools with the left-out collections; repeat.")] = None,
    esc50: Annotated[Path | None, typer.Option(help="A folder in the ESC-50 layout.")] = None,
    fold: Annotated[int, typer.Option(help="Its fold that nobody has learnt from.")] = 5,
    speech: Annotated[Path | None, typer.Option(help="Folder of speech that nobody has learnt from.")] = None,
    yamnet: Annotated[Path | None, typer.Option(help="YAMNet's TFLite file.")] = None,
    lab: Annotated[list[int] | None, typer.Option(help="Takes that are fine-tuned in the lab as well; repeat.")] = None,
    lab_draws: Annotated[int, typer.Option(min=1, help="The first of the draws, for the lab.")] = 1,
    takes: Annotated[list[int] | None, typer.Option(min=3, help="Repeat; default 3, 5 and 10.")] = None,
    draws: Annotated[int, typer.Option(min=1)] = 5,
    hours: Annotated[float, typer.Option(min=0.0, help="Of scenes mixed of left-out sounds.")] = 10.0,
    labels: Annotated[Path, typer.Option(help="Labels that scenes are made of.")] = Path("trainer/everyday.txt"),
    out: Annotated[Path | None, typer.Option(help="JSON of all figures.")] = None,
) -> None:
    """Teach left-out sounds from a few takes and measure what came of it."""
    everything = [one for root in data or [] for one in read_recordings(root)]
    kept, left_out = split_left_out(everything, fold)
    ten = [one for one in read_recordings(esc50) if one.fold == fold] if esc50 else []
    sounds = cut([one for one in [*left_out, *ten] if one.role is Role.SOUND and one.label and not one.sharealike])
    long_sound: dict[str, list[Listening]] = {"real": [ambience(left_out)]}
    if speech:
        long_sound["real"].append(Spoken(sorted(speech.iterdir())))
    if hours:
        made = scenes_of(scene_library(left_out, read_labels(labels)), round(hours * 120), LONG_SEED)
        long_sound["scenes"] = [made]
    ears: list[Callable[[], BundleEar | YamNetEar]] = [lambda: BundleEar(bundle)]
    if yamnet:
        learnt = [one for one in kept if one.role is Role.SOUND and not one.sharealike]
        space = BundleEar(bundle).space
        ears.append(lambda: YamNetEar(yamnet, learnt, len(space.axes), len(space.labels)))
    results: dict[str, dict[str, dict[str, Figures]]] = {}

    def keep(name: str, count: int, found: dict[str, Figures]) -> None:
        results.setdefault(name, {})[str(count)] = found
        print(summary(name, count, found), flush=True)
        if out:
            out.write_text(json.dumps(results, indent=1), encoding="utf-8")

    for make in ears:
        ear, began = make(), time.process_time()
        clips = [Clip(one.label, original(one), samples, ear.hear([samples])[0]) for one, samples in sounds]
        long = {name: [one for part in parts for one in pieces(ear, part, name)] for name, parts in long_sound.items()}
        for count in takes or [3, 5, 10]:
            keep(ear.name, count, measure(ear, clips, long, count, draws))
        print(f"{ear.name}: {time.process_time() - began:.0f} s of CPU", file=sys.stderr)
        if isinstance(ear, BundleEar):
            for count in lab or []:
                for name, negatives in (("lab", True), ("lab --no-negatives", False)):
                    keep(name, count, measure_lab(ear, clips, long, count, lab_draws, negatives))


def summary(name: str, takes: int, found: dict[str, Figures]) -> str:
    """Means over labels."""
    keys = list(next(iter(found.values())))
    means = {key: float(np.mean([one[key] for one in found.values()])) for key in keys}
    said = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
    return f"{name}, {takes} takes, {len(found)} labels: {said}"


if __name__ == "__main__":
    run("bench.teach", main)
