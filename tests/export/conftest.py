"""Bundles of both shapes with their variants, made once from untrained networks and real audio."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

from asit_edge.cli.demo import recording
from export.audio import read_audio
from export.bundling import write_bundle
from export.golden.write import write_golden
from export.lowering import write_variants
from trainer.data.audioset import label_for
from trainer.finetuning.checkpoint import save_finetuned
from trainer.finetuning.config import FinetuneConfig
from trainer.models.finetuned import WindowNetwork
from trainer.models.streaming_vit import Stage, StreamConfig, StreamViT
from trainer.run.checkpoint import save_checkpoint
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT

WINDOW = FinetuneConfig(size="nano", frames=64)
STREAMING = StreamConfig(stages=(Stage(32, 1, 2, 4), Stage(64, 1, 2, 6)), stem=(4, 4, 8), chunk=2, activation="relu")
NAMES = ["Dog", "Rain", "Sneeze"]


def lively(model: torch.nn.Module) -> torch.nn.Module:
    """An untrained network whose layers all matter to its scores."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            torch.nn.init.normal_(parameter, std=0.5 if "embed" in name and "proj" not in name else 1.5 / fan_in**0.5)
    return model.eval()


def save_window(file: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model = lively(WindowNetwork(WINDOW.backbone, len(NAMES)))
    assert isinstance(model, WindowNetwork)
    save_finetuned(file, model, WINDOW, [label_for(name) for name in NAMES], {"data": "none", "test_fold": None})
    return file


def save_stream(file: Path, seed: int = 0) -> Path:
    config = DistillConfig(model=asdict(STREAMING), test_fold=5)
    torch.manual_seed(seed)
    model = lively(StreamViT(STREAMING, len(NAMES), config.spec.silence))
    content: dict[str, Any] = {"config": config.plain(), "labels": NAMES, "model": model.state_dict(), "step": 1}
    save_checkpoint(file, STUDENT, content)
    return file


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight recordings of 3 s, cut from the demonstration."""
    folder = tmp_path_factory.mktemp("clips")
    samples, rate = soundfile.read(recording(), dtype="float32")
    for index in range(8):
        soundfile.write(folder / f"{index}.flac", samples[5 * index * rate : (5 * index + 3) * rate], rate)
    return folder


@pytest.fixture(scope="session")
def window_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_window(tmp_path_factory.mktemp("window") / "model.pt")


@pytest.fixture(scope="session")
def stream_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_stream(tmp_path_factory.mktemp("stream") / "student.pt")


@pytest.fixture(scope="session", params=["window", "stream"])
def plain_bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of either shape, fp32 only, with golden inputs that every label is active in."""
    out = tmp_path_factory.mktemp("bundles") / request.param
    checkpoint = request.getfixturevalue(f"{request.param}_checkpoint")
    write_bundle(checkpoint, out, request.param, "1.0", "Apache-2.0", {}, 0.5, 0.3)
    assert not write_golden(out, 320).unchecked
    return out


LENIENT = {"top1_change": 0.2, "event_change": 0.3, "relative_error": 0.2}
"""Untrained networks are of two minds about everything, so that rounding tips them over more often."""


@pytest.fixture(scope="session")
def full_bundle(plain_bundle: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of either shape, with fp16 and int8."""
    path = Path(shutil.copytree(plain_bundle, tmp_path_factory.mktemp("full") / plain_bundle.name))
    write_variants(path, ["fp16", "int8"], read_audio(clips, 100), LENIENT, force=False)
    return path
