"""The loop of distillation: batches of scenes, loss, step, average, and now and then the validation part."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from asit_edge.errors import WrongUse
from trainer.distillation.batches import Batch
from trainer.distillation.beginning import begin_warm
from trainer.models.cnn import WindowCnn
from trainer.models.streaming import is_streaming
from trainer.models.streaming_mobilenet import StreamMobile
from trainer.models.streaming_vit import STEP, StreamViT
from trainer.run.average import copied
from trainer.run.checkpoint import load_checkpoint, made_by_this_version, save_checkpoint
from trainer.run.engine import LINE_EVERY, Engine, due
from trainer.run.journal import Journal
from trainer.run.muon import MuonAdamW, block_matrices
from trainer.run.optimisation import Optimiser, parameter_groups, warm_groups
from trainer.run.precision import autocast
from trainer.run.resuming.kept import keep
from trainer.run.resuming.seeds import seed_step
from trainer.run.resuming.settings import unchanged
from trainer.students.config import DistillConfig
from trainer.students.student import STUDENT, begin_from, new_student, student_of
from trainer.teachers.features import FeatureTeacher


def distillation_loss(
    model: nn.Module, batch: Batch, config: DistillConfig, features: FeatureTeacher | None = None
) -> Tensor:
    """Binary cross entropy against soft targets, summed over labels, mean of the rest.

    A streaming student answers for every time step and every chunk, a CNN for the windows that end at three of them.
    """
    classes = batch.targets.shape[2]
    if isinstance(model, WindowCnn):
        first = -(-model.frames // STEP)
        ends = torch.linspace(first, batch.targets.shape[1], 3).round().int().tolist()
        windows = torch.cat([batch.log_mel[:, end * STEP - model.frames : end * STEP] for end in ends])
        expected = torch.cat([batch.lately[:, end - 1] for end in ends])
        with autocast(batch.log_mel.device):
            logits = model(windows)
        return classes * nnf.binary_cross_entropy_with_logits(logits.float(), expected)
    assert is_streaming(model)
    chunk = model.config.chunk
    with autocast(batch.log_mel.device):
        embedded, _ = model.embed(batch.log_mel)
        heard = model.classify(embedded)
        apart = features(embedded, batch.unmasked) if features is not None else None
    frames = nnf.binary_cross_entropy_with_logits(heard.frames.float(), batch.targets)
    chunks = nnf.binary_cross_entropy_with_logits(heard.chunks.float(), batch.lately[:, chunk - 1 :: chunk])
    loss = classes * (frames + config.chunk_weight * chunks) / (1 + config.chunk_weight)
    return loss if apart is None else loss + config.feature_weight * apart


def train(
    run_file: Path,
    batches: Callable[[int], IterableDataset[Batch]],
    labels: list[str],
    config: DistillConfig,
    validate: Callable[[nn.Module], dict[str, float]],
    save_every: int,
    workers: int = 1,
    keep_every: int = 0,
    data: str = "",
) -> nn.Module:
    """Trains to the end of the schedule, from `run_file` where that exists; returns the averaged weights.

    `batches` gives the batches from one number on, `data` says of what. Validation's first figure says which checkpoint
    is the best, which stays (`kept/best.pt`), as does one every `keep_every` steps (0: none).
    """
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_student(config, len(labels))
    features = _feature_teacher(model, config)
    saved = _begun(run_file, config, labels, data) if run_file.is_file() else None
    engine = _engine(model, features, config, labels, device, saved)
    best = float(saved.get("best", "-inf")) if saved else float("-inf")
    journal = Journal(run_file.parent, engine.done, config.steps, speaks=False)
    loader = iter(DataLoader(batches(engine.done), batch_size=None, num_workers=workers))
    while engine.done < config.steps:
        seed_step(config.seed, engine.done)
        if isinstance(model, StreamMobile):
            model.learn_convolutions(engine.done >= config.frozen)
        rate = config.rate_at(engine.done)
        batch = Batch(*(part.to(device) for part in next(loader)))
        loss = distillation_loss(model, batch, config, features)
        engine.step(loss, rate, config.weight_decay, config.share_at(engine.done + 1))
        step = engine.done
        stays = keep_every > 0 and step % keep_every == 0
        saves = stays or due(step, save_every, config.steps)
        if step % LINE_EVERY == 0:
            print(f"step {step}/{config.steps} loss {loss.item():.3f} lr {rate:.2e}", file=sys.stderr, flush=True)
        if step % LINE_EVERY == 0 or saves:
            judged = validate(student_of(config, labels, engine.average)) if saves else {}
            journal.record(step, {"loss/total": loss.item(), "learning rate": rate, **_named(judged)})
        if saves:
            score = next(iter(judged.values()), float("-inf"))
            is_best = bool(judged) and score >= best
            best = max(best, score)
            save_checkpoint(
                run_file, STUDENT, {**_content(engine, features, config, labels), "data": data, "best": best}
            )
            if is_best:
                keep(run_file, "best")
            if stays:
                keep(run_file, f"step-{step:07d}")
            print(json.dumps({"step": step, **judged}), flush=True)
    journal.close()
    return student_of(config, labels, engine.average)


def _named(judged: dict[str, float]) -> dict[str, float]:
    return {f"validation/{name}": value for name, value in judged.items()}


def _engine(
    model: nn.Module,
    features: FeatureTeacher | None,
    config: DistillConfig,
    labels: list[str],
    device: torch.device,
    saved: dict[str, Any] | None,
) -> Engine:
    """A run at its beginning, or where one was `saved`."""
    if saved is not None:
        model.load_state_dict(saved["raw"])
    elif config.initial:
        begin_from(Path(config.initial), model, labels)
    elif isinstance(model, StreamMobile) and config.begin:
        begin_warm(Path(config.begin), model, labels)
    average = {key: value.to(device) for key, value in (saved["model"] if saved else copied(model)).items()}
    trained = nn.ModuleList([model] if features is None else [model, features]).to(device).train()
    trained.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = make_optimiser(trained, config)
    if saved is not None:
        if features is not None:
            features.projection.load_state_dict(saved["projection"])
        optimiser.load_state_dict(saved["optimiser"])
    return Engine(model, trained, optimiser, config.clip_norm, average, saved["step"] if saved else 0)


MAY_CHANGE = frozenset({"steps", "warmup", "initial", "begin"})
"""Settings that a run that goes on may have anew: its length, and the files that it was begun with."""


def _begun(run_file: Path, config: DistillConfig, labels: list[str], data: str) -> dict[str, Any]:
    """What a run goes on from. Raises WrongUse where it is another run, and names what differs."""
    saved = load_checkpoint(run_file, STUDENT)
    if saved["labels"] != labels:
        raise WrongUse(f"{run_file}: was begun with other data (its labels differ); name a new run")
    if saved.get("data", data) != data:
        raise WrongUse(f"{run_file}: was begun with other data (recordings, scenes or teachers differ); name a new run")
    with made_by_this_version(run_file):
        before = DistillConfig.from_plain(saved["config"])
    unchanged(_comparable(before), _comparable(config), run_file, MAY_CHANGE, "name a new run")
    return saved


def _comparable(config: DistillConfig) -> dict[str, Any]:
    """Settings by name, one level deep; of files only their names, since a run may go on where they lie elsewhere."""
    plain = config.plain()
    inner = {f"{part}.{key}": value for part in ("scenes", "front_end") for key, value in plain.pop(part).items()}
    files = {key: Path(plain[key]).name for key in ("live", "features") if plain[key]}
    return {**plain, **files, **inner}


def _content(
    engine: Engine, features: FeatureTeacher | None, config: DistillConfig, labels: list[str]
) -> dict[str, Any]:
    """A checkpoint: what is evaluated, and what the run needs to go on."""
    return {
        "config": config.plain(),
        "labels": labels,
        **engine.state(),
        "projection": features.projection.state_dict() if features is not None else None,
    }


def make_optimiser(network: nn.Module, config: DistillConfig) -> Optimiser:
    """That of the configuration; AdamW where there are no transformer blocks, and for warm-started students, whose
    convolutions learn at a tenth of the rate."""
    warm = [part for part in network.modules() if isinstance(part, StreamMobile)]
    if warm:
        return torch.optim.AdamW(warm_groups(warm[0]))
    if config.optimiser == "muon" and block_matrices(network):
        return MuonAdamW(network)
    return torch.optim.AdamW(parameter_groups(network))


def _feature_teacher(model: nn.Module, config: DistillConfig) -> FeatureTeacher | None:
    if config.features is None or not isinstance(model, StreamViT):
        return None
    embedding = model.frame_head.in_features
    return FeatureTeacher(Path(config.features), config.features_size, config.scenes.steps, config.spec.mels, embedding)
