"""The loop of distillation: batches of scenes, loss, step, average, and now and then the validation part."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from asit_edge.errors import WrongUse
from trainer.distillation.batches import Scenes
from trainer.distillation.beginning import begin_warm
from trainer.distillation.hearing import Batch, Hearing
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
from trainer.run.ranks.agreement import Facts, alike, code_version
from trainer.run.ranks.distributed import Processes, standing_alone
from trainer.run.ranks.sharing import Share, in_parallel, share_of
from trainer.run.resuming.kept import keep
from trainer.run.resuming.seeds import generator_of, seed_step
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


class Lesson(nn.Module):
    """What a process learns from: the student, what learns beside it, and the loss of both, in one forward pass."""

    def __init__(self, model: nn.Module, features: FeatureTeacher | None, config: DistillConfig) -> None:
        super().__init__()
        self.model, self.features, self._config = model, features, config

    def forward(self, batch: Batch) -> Tensor:
        return distillation_loss(self.model, batch, self._config, self.features)


@dataclass(frozen=True)
class Manner:
    """How a run goes, whatever it computes."""

    save_every: int
    """Steps between checkpoints."""
    keep_every: int = 0
    """Steps between those of them that stay, as the best does; 0: none."""
    workers: int = 1
    """Processes that make scenes, of each process that trains; 0: it does that itself."""
    processes: Processes = field(default_factory=standing_alone)


def train(
    run_file: Path,
    scenes: Callable[[Share], Dataset[Scenes]],
    labels: list[str],
    config: DistillConfig,
    validate: Callable[[nn.Module], dict[str, float]],
    manner: Manner,
    data: str = "",
    named: Callable[[int], str] = str,
) -> nn.Module:
    """Trains to the end of the schedule, from `run_file` where that exists; returns the averaged weights.

    `scenes` gives a share of every batch by its number, `data` says of what, `named` names a recording. Validation's
    first figure says which checkpoint is the best, which stays (`kept/best.pt`). A step depends on the settings and its
    number alone, and not on how many processes share its batch; the first one validates and writes.
    """
    processes = manner.processes
    first, device = processes.first, processes.device
    share = share_of(config.batch, processes)
    begun = alike(processes, lambda: _begun(run_file, config, labels, data, device))
    model, engine, features, hearing = begun.model, begun.engine, begun.features, begun.hearing
    engine.agree(device)
    warm = isinstance(model, StreamMobile)
    lesson = in_parallel(_all_learning(Lesson(model, features, config)), processes, some_unused=warm)
    best = begun.best
    journal = Journal(run_file.parent, engine.done, config.steps, speaks=False) if first else None
    loader = iter(_loader(scenes(share), range(engine.done, config.steps), manner))
    skipped: dict[int, str] = {}
    while engine.done < config.steps:
        seed_step(config.seed, engine.done, processes.rank)
        if isinstance(model, StreamMobile):
            model.learn_convolutions(engine.done >= config.frozen)
        rate = config.rate_at(engine.done)
        taken = next(loader)
        _tell_skipped(taken.skipped, skipped, named)
        loss = lesson(hearing(taken, generator_of(config.seed, engine.done, 1), share))
        engine.step(loss, rate, config.weight_decay, config.share_at(engine.done + 1))
        step = engine.done
        stays = manner.keep_every > 0 and step % manner.keep_every == 0
        saves = stays or due(step, manner.save_every, config.steps)
        if journal is None:
            continue
        if step % LINE_EVERY == 0:
            print(f"step {step}/{config.steps} loss {engine.loss:.3f} lr {rate:.2e}", file=sys.stderr, flush=True)
        judged = validate(student_of(config, labels, engine.average)) if saves else {}
        if step % LINE_EVERY == 0 or saves:
            figures = {"loss/total": engine.loss, "learning rate": rate, "skipped recordings": float(len(skipped))}
            journal.record(step, {**figures, **_named(judged)})
        if saves:
            best = _save(run_file, {**_content(engine, features, config, labels), "data": data}, judged, best)
            if stays:
                keep(run_file, f"step-{step:07d}")
            print(json.dumps({"step": step, **judged}), flush=True)
    if journal:
        journal.close()
    return student_of(config, labels, engine.average)


def _save(run_file: Path, content: dict[str, Any], judged: dict[str, float], best: float) -> float:
    """Writes the checkpoint, which stays where none was better; returns the best figure so far."""
    score = next(iter(judged.values()), float("-inf"))
    is_best, best = bool(judged) and score >= best, max(best, score)
    save_checkpoint(run_file, STUDENT, {**content, "best": best})
    if is_best:
        keep(run_file, "best")
    return best


def _all_learning(lesson: Lesson) -> Lesson:
    """With every weight that will learn at some time learning now, so that processes exchange the gradients of all."""
    if isinstance(lesson.model, StreamMobile):
        lesson.model.learn_convolutions(True)
    return lesson


def _loader(scenes: Dataset[Scenes], numbers: range, manner: Manner) -> DataLoader[Scenes]:
    pinned = manner.processes.device.type == "cuda"
    return DataLoader(scenes, batch_size=None, sampler=numbers, num_workers=manner.workers, pin_memory=pinned)


def _tell_skipped(found: Mapping[int, str], known: dict[int, str], named: Callable[[int], str]) -> None:
    """Names each recording that cannot be read once."""
    for number, reason in found.items():
        if number not in known:
            known[number] = reason
            print(f"warning: {named(number)}: {reason}; the next one stands in", file=sys.stderr, flush=True)


def _named(judged: dict[str, float]) -> dict[str, float]:
    return {f"validation/{name}": value for name, value in judged.items()}


class _Run(NamedTuple):
    """A run at its beginning, or where it was stopped."""

    model: nn.Module
    engine: Engine
    features: FeatureTeacher | None
    hearing: Hearing
    best: float


def _begun(
    run_file: Path, config: DistillConfig, labels: list[str], data: str, device: torch.device
) -> tuple[_Run, Facts]:
    """The run, and what must be the same on all processes. Raises WrongUse where the file is of another run."""
    torch.manual_seed(config.seed)
    model = new_student(config, len(labels))
    features = _feature_teacher(model, config)
    saved = _saved(run_file, config, labels, data) if run_file.is_file() else None
    engine = _engine(model, features, config, labels, device, saved)
    hearing = Hearing(config, labels).to(device)
    settings = {key: str(value) for key, value in _comparable(config).items()}
    facts = {
        "checkpoint": {"step": str(engine.done) if saved else "none, a new run"},
        "setting": {key: value for key, value in settings.items() if key not in ("initial", "begin")},
        "data": {"recordings": data[:12], "labels": f"{len(labels)}, {', '.join(labels[:3])}, ..."},
        "code": {"version": code_version()},
    }
    best = float(saved.get("best", "-inf")) if saved else float("-inf")
    return _Run(model, engine, features, hearing, best), facts


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


def _saved(run_file: Path, config: DistillConfig, labels: list[str], data: str) -> dict[str, Any]:
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
    features = Path(plain["features"]).name if plain["features"] else None
    return {**plain, "live": [Path(file).name for file in plain["live"]], "features": features, **inner}


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
