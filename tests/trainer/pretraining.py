"""A pre-training run small enough for a test, as its user starts it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from trainer.asit.config import PretrainConfig, make_config
from trainer.data.layouts.listing import list_recordings
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.pretrain import pretrain
from trainer.run.ranks.distributed import Processes
from trainer.run.signals import StopRequest

ROOT = Path(__file__).parents[2]
ALONE = Processes(0, 1, torch.device("cpu"))
TINY: dict[str, Any] = {
    "size": "nano",
    "frames": 32,
    "local_frames": 16,
    "mels": 32,
    "hidden": 16,
    "bottleneck": 8,
    "prototypes": 12,
    "part_size": 4,
    "epochs": 2,
    "warm_up": 1,
    "learning_rate": 0.05,
    "bf16": False,
    "workers": 0,
    "log_every": 1,
    "save_every": 2,
    "picture_every": 1000,
}
"""18 examples in batches of 4: four steps an epoch, eight in all."""


def make_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """18 clips of noise, no two alike, in three shards."""
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for number in range(18):
        noise = rng.normal(size=int(rng.integers(9_000, 24_000))) * 0.1
        soundfile.write(folder / f"{number:02d}.wav", np.convolve(noise, rng.normal(size=8)), 16_000)
    out = tmp_path_factory.mktemp("shards")
    prepare_shards(list_recordings(folder, None, {}), out, PrepareConfig(per_shard=7), workers=1)
    return out


def config(shards: Path, **settings: Any) -> PretrainConfig:
    return make_config("2024", None, {"data": [str(shards)], **TINY, **settings})


def train(folder: Path, config: PretrainConfig, resume: bool = False) -> dict[int, dict[str, float]]:
    folder.mkdir(exist_ok=True)
    with StopRequest() as stopping:
        pretrain(config, folder, resume, ALONE, stopping)
    return metrics(folder)


def command(folder: Path, config: PretrainConfig, *more: str) -> list[str]:
    file = folder.with_suffix(".json")  # JSON is YAML
    file.write_text(json.dumps(config.model_dump()))
    return ["-m", "trainer.pretrain", str(folder), "--config", str(file), *more]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    own = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT, env=own, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def metrics(folder: Path) -> dict[int, dict[str, float]]:
    """The metrics by step, which is there once."""
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len({entry["step"] for entry in entries}) == len(entries)
    return {entry["step"]: entry for entry in entries}


def losses(entries: dict[int, dict[str, float]], first: int = 1) -> list[list[float]]:
    names = ("loss/total", "loss/global", "loss/local", "loss/reconstruction", "gradient norm")
    return [[entry[name] for name in names] for step, entry in sorted(entries.items()) if step >= first]


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not (folder / "metrics.jsonl").exists() or step not in metrics(folder):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
