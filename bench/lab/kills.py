"""Runs of the lab killed at random moments, against runs that nobody touched: `python -m bench.lab.kills --kills 20`.

Each loop (pre-training, distillation with a live teacher from files and shards, fine-tuning on windows and on whole
clips that another process reads) trains a small network on made-up sounds with drop path on. It is
killed with SIGKILL at a random moment, started again with the same command, and so on; what it ends with is compared
with what an undisturbed run ends with, weight by weight. Printed are the kills, the steps that checkpoints then had,
the greatest difference of any weight (0 is right) and how many lines its journal has twice (0 is right).
"""

import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import torch
import typer

from trainer.asit.config import make_config
from trainer.data.audioset import audioset_ids
from trainer.data.layouts.collections import read_recordings
from trainer.data.layouts.listing import list_recordings
from trainer.data.scenes import SceneConfig
from trainer.distillation.run import distil
from trainer.distillation.training import Manner
from trainer.finetune import main as finetune
from trainer.models.mobilenet import MobileNet
from trainer.models.streaming_vit import SIZES
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.pretrain import pretrain
from trainer.run.checkpoint import read_file
from trainer.run.ranks.distributed import Processes
from trainer.run.signals import StopRequest
from trainer.students.config import DistillConfig

RATE = 16_000
STEPS = 24
SHARDED = PrepareConfig(per_shard=4)


@dataclass(frozen=True)
class Loop:
    """One of the lab's loops on data of its own."""

    name: str
    run: Callable[[Path], object]
    """Begins a run in a folder, or goes on with it."""
    result: str
    """The file in that folder that it ends with."""
    state: str
    """The file that it goes on from."""
    journal: str


@dataclass(frozen=True)
class Outcome:
    kills: int
    steps: list[int]
    """Of the checkpoints that the kills left behind; 0: none yet."""
    difference: float
    """The greatest between a weight and that of the undisturbed run."""
    twice: int
    """Steps that a journal has more than once, or lacks."""


def compare(loop: Loop, kills: int, chance: random.Random, folder: Path) -> Outcome:
    """Kills runs, each once or twice, until there were so many kills (or one more), and lets them come to their end."""
    whole = folder / "whole"
    began = time.monotonic()
    assert _finished(loop, whole), f"{loop.name}: the undisturbed run fails"
    lasts = time.monotonic() - began
    steps: list[int] = []
    difference, twice, turn = 0.0, 0, 0
    while len(steps) < kills:
        run = folder / f"run{turn}"
        turn += 1
        for _ in range(chance.choice((1, 2))):  # also a run that has been killed already
            if _finished(loop, run, chance.uniform(0, lasts)):
                break
            state = run / loop.state
            steps.append(int(read_file(state)["step"]) if state.is_file() else 0)
        assert _finished(loop, run), f"{loop.name}: a run that was killed does not go on"
        difference = max(difference, _difference(whole / loop.result, run / loop.result))
        twice += _twice(whole / loop.journal, run / loop.journal)
        shutil.rmtree(run)
    return Outcome(len(steps), steps, difference, twice)


def _finished(loop: Loop, folder: Path, killed_after: float | None = None) -> bool:
    """Starts the loop in a process of its own; whether it came to its end, and was not killed after so many seconds."""
    process = multiprocessing.get_context("fork").Process(target=_in_child, args=(loop, folder))
    process.start()
    process.join(killed_after)
    if process.exitcode is None:
        process.kill()
        process.join()
        return False
    assert process.exitcode == 0, f"{loop.name}: fails"
    return True


def _in_child(loop: Loop, folder: Path) -> None:
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        loop.run(folder)
    os._exit(0)


def _difference(first: Path, second: Path) -> float:
    there, here = (dict(_tensors(read_file(path))) for path in (first, second))
    assert there.keys() == here.keys()
    return max(float((there[name].double() - here[name].double()).abs().max()) for name in there)


def _tensors(content: dict[str, Any], prefix: str = "") -> list[tuple[str, torch.Tensor]]:
    found = []
    for key, value in content.items():
        if isinstance(value, torch.Tensor) and value.numel():
            found.append((f"{prefix}{key}", value))
        elif isinstance(value, dict):
            found += _tensors(value, f"{prefix}{key}/")
    return found


def _twice(whole: Path, run: Path) -> int:
    expected, found = (
        Counter(json.loads(line)["step"] for line in file.read_text(encoding="utf-8").splitlines())
        for file in (whole, run)
    )
    return sum(abs(found[step] - expected[step]) for step in found | expected)


def pretraining(data: Path) -> Loop:
    shards = data / "shards"
    prepare_shards(list_recordings(data / "sounds" / "audio", None, {}), shards, SHARDED, 1)
    settings = {
        "data": [str(shards)], "size": "nano", "frames": 32, "local_frames": 16, "mels": 32, "hidden": 16,
        "bottleneck": 8, "prototypes": 12, "part_size": 4, "epochs": STEPS // 4, "warm_up": 1, "learning_rate": 0.05,
        "drop_path": 0.3, "bf16": False, "workers": 0, "log_every": 1, "save_every": 3, "picture_every": 1000,
    }  # fmt: skip
    config = make_config("2024", None, settings)

    def run(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with StopRequest() as stopping:
            pretrain(config, folder, True, Processes(0, 1, torch.device("cpu")), stopping)

    return Loop("pretrain", run, "last.pt", "last.pt", "metrics.jsonl")


def distillation(data: Path) -> Loop:
    shards, teacher = data / "shards", data / "teacher.pt"
    prepare_shards(list_recordings(data / "sounds" / "audio", data / "sounds" / "manifest.csv", {}), shards, SHARDED, 1)
    recordings = read_recordings(data / "sounds") + read_recordings(shards)
    torch.manual_seed(0)
    torch.save(MobileNet(0.1, len(audioset_ids())).state_dict(), teacher)
    config = DistillConfig(
        size="nano",
        model=asdict(replace(SIZES["nano"], drop_path=0.3)),
        steps=STEPS,
        batch=2,
        warmup=4,
        validation=0.3,
        scenes=SceneConfig(steps=8, most=1),
        live=[str(teacher)],
    )

    def run(folder: Path) -> None:
        distil(folder, recordings, [], config, Manner(3))

    return Loop("distill", run, "student.pt", "student.pt", "metrics.jsonl")


def finetuning(data: Path) -> Loop:
    settings = [
        "drop_path=0.3", "frames=48", f"steps={STEPS}", "batch=4", "evaluations=4", "save_every=3", "log_every=1",
        "validation=0.3", "averaging=0.9",
    ]  # fmt: skip

    def run(folder: Path) -> None:
        finetune("esc50", data / "esc", folder, recipe="detector", size="nano", test_fold=[2], settings=settings)

    return Loop("finetune", run, "fold2.pt", "fold2.running.pt", "journal/fold2/metrics.jsonl")


def finetuning_whole(data: Path) -> Loop:
    settings = [
        "drop_path=0.3", "frames=48", "evaluations=4", "save_every=3", "log_every=1", "validation=0.3", "workers=1",
        "balanced=true", "layer_decay=0.75", "roll=5", "noise=0.1",
    ]  # fmt: skip
    recipe: dict[str, Any] = {"recipe": "audioset-20k", "epochs": STEPS // 3, "batch": 2, "size": "nano"}

    def run(folder: Path) -> None:
        finetune("esc50", data / "esc", folder, test_fold=[2], settings=settings, **recipe)

    return Loop("finetune-whole", run, "fold2.pt", "fold2.running.pt", "journal/fold2/metrics.jsonl")


LOOPS: dict[str, Callable[[Path], Loop]] = {
    "pretrain": pretraining,
    "distill": distillation,
    "finetune": finetuning,
    "finetune-whole": finetuning_whole,
}


def make_sounds(data: Path) -> None:
    """Hums of two kinds, as a collection with a manifest and in ESC-50's layout."""
    rng = np.random.default_rng(0)
    manifest, table = ["path,audioset_label,split_group"], ["filename,fold,target,category,src_file"]
    for folder in (data / "sounds" / "audio", data / "esc" / "audio", data / "esc" / "meta"):
        folder.mkdir(parents=True)
    for take in range(16):
        label, frequency = (("Dog", 3_000), ("Rain", 300))[take % 2]
        partials = frequency * 2 ** rng.uniform(-1, 1, (20, 1))
        hum = 0.02 * np.sin(2 * np.pi * partials * np.arange(2 * RATE) / RATE).sum(axis=0)
        for collection in ("sounds", "esc"):
            soundfile.write(data / collection / "audio" / f"{take}.flac", hum, RATE)
        manifest.append(f"{take}.flac,{label},recording{take}")
        table.append(f"{take}.flac,{1 + take // 8},{take % 2},{label.lower()},{take}")
    (data / "sounds" / "manifest.csv").write_text("\n".join(manifest) + "\n", encoding="utf-8")
    (data / "esc" / "meta" / "esc10.csv").write_text("\n".join(table) + "\n", encoding="utf-8")


def main(
    kills: Annotated[int, typer.Option(min=1, help="Kills of each loop.")] = 20,
    loop: Annotated[list[str] | None, typer.Option(help=f"{', '.join(LOOPS)}; repeat; default all.")] = None,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
) -> None:
    """Kill the lab's loops at random moments and compare what they end with."""
    torch.set_num_threads(1)
    wrong = False
    for name in loop or LOOPS:
        with tempfile.TemporaryDirectory() as folder:
            make_sounds(Path(folder))
            outcome = compare(LOOPS[name](Path(folder)), kills, random.Random(seed), Path(folder) / "runs")
        steps = " ".join(map(str, outcome.steps))
        print(f"{name}: {outcome.kills} kills, at steps {steps} of {STEPS} (of the checkpoints)")
        print(f"{name}: greatest difference of a weight {outcome.difference:g}, journal lines too many {outcome.twice}")
        wrong = wrong or outcome.difference > 0 or outcome.twice > 0
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
