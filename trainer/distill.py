"""Distillation: `python -m trainer.distill RUN --data DIR... --scores FILE...`: teachers' knowledge into a stream.

Labelled and unlabelled recordings together; targets in time from what teachers said of windows, and labels on top.
One readable loop; a killed run goes on where it was.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.audioset import audioset_ids
from trainer.augment import equalise, spec_augment
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.command import run
from trainer.distill_config import DistillConfig
from trainer.features import BatchedLogMel
from trainer.frame_targets import audible_steps, heard_lately, steps_from_windows, with_label
from trainer.optimisation import parameter_groups, set_rates
from trainer.recordings import FULL_SCALE, Recording, Waveforms, is_held_out, load_waveforms, read_recordings
from trainer.scenes import SceneSampler
from trainer.schedules import cosine
from trainer.streaming_vit import SIZES, STEP, StreamViT
from trainer.student import STREAM
from trainer.teacher_scores import TeacherScores, read_teacher_scores

ROOM_RESPONSES = "rir_"
"""Recordings in folders of this beginning are room responses: something to hear sounds through, not sounds."""


@dataclass(frozen=True)
class Material:
    """Recordings of one split with their targets: of recording n, rows starts[n] to starts[n + 1]."""

    recordings: list[Recording]
    indices: list[int]
    targets: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.recordings)


def choose_labels(recordings: Sequence[Recording], teachers: Sequence[TeacherScores], least: int = 5) -> list[str]:
    """AudioSet labels, in AudioSet's order, that a person or a teacher (0.3 or more) finds in that many groups."""
    groups: dict[str, set[str]] = {}
    for recording in recordings:
        if recording.label:
            groups.setdefault(recording.label, set()).add(recording.group)
    for teacher in teachers:
        rows = {name: row for row, name in enumerate(teacher.names)}
        for recording in recordings:
            row = rows.get(recording.name)
            if row is None:
                continue
            span = slice(teacher.start[row], teacher.start[row + 1])
            for index in np.unique(teacher.index[span][teacher.prob[span] >= 0.3]):
                groups.setdefault(teacher.labels[index], set()).add(recording.group)
    return [name for name in audioset_ids() if len(groups.get(name, ())) >= least]


def build_targets(
    recordings: Sequence[Recording],
    indices: Sequence[int],
    waveforms: Waveforms,
    teachers: Sequence[TeacherScores],
    labels: Sequence[str],
    config: DistillConfig,
) -> Material:
    """Targets in time: the mean of the teachers that know a recording, and its own label on top."""
    step = STEP * config.spec.hop
    rows = [{name: row for row, name in enumerate(teacher.names)} for teacher in teachers]
    everything, starts = [], [0]
    for recording, index in zip(recordings, indices, strict=True):
        pcm = waveforms[index]
        steps = max(-(-len(pcm) // step), 1)
        padded = np.zeros(steps * step, np.float32)
        padded[: len(pcm)] = pcm / FULL_SCALE
        said = [
            steps_from_windows(teacher.windows(row[recording.name], labels), teacher.window, teacher.hop, steps)
            for teacher, row in zip(teachers, rows, strict=True)
            if recording.name in row
        ]
        targets = np.mean(said, axis=0) if said else np.zeros((steps, len(labels)), np.float32)
        levels = np.sqrt((padded.reshape(steps, -1) ** 2).mean(axis=1))
        everything.append(with_label(targets, recording.label, labels, audible_steps(levels)))
        starts.append(starts[-1] + steps)
    return Material(list(recordings), list(indices), np.concatenate(everything), np.array(starts))


def sampling_weights(material: Material) -> npt.NDArray[np.float64]:
    """Of each recording: labels are drawn by the root of their files, up to ten times one; longer files more often."""
    files = Counter(recording.label for recording in material.recordings)
    label = np.array(
        [min(files[recording.label] ** 0.5, 10.0) / files[recording.label] for recording in material.recordings]
    )
    unlabelled = np.array([not recording.label for recording in material.recordings])
    label[unlabelled] = 25.0 / max(unlabelled.sum(), 1)
    seconds = np.diff(material.starts) * 0.16
    length = np.clip(np.sqrt(seconds / 5), 0.5, 3.0)
    # Length counts between files of a label, not between labels.
    share = Counter[str]()
    for recording, long in zip(material.recordings, length, strict=True):
        share[recording.label] += long / files[recording.label]
    return label * length / np.array([share[recording.label] for recording in material.recordings])


class Scenes(IterableDataset[tuple[Tensor, Tensor, Tensor]]):
    """Batches of (waveforms, step targets, chunk targets) from batch number `first` on; the n-th is always the same."""

    def __init__(self, sampler: SceneSampler, config: DistillConfig, first: int) -> None:
        self._sampler, self._config, self._first = sampler, config, first
        self._features = BatchedLogMel(config.spec)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        torch.set_num_threads(1)
        config = self._config
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        tail = np.zeros((config.batch, config.spec.window - config.spec.hop), np.float32)
        for number in itertools.count(self._first + offset, stride):
            rng = np.random.default_rng((config.seed, number))
            scenes = [self._sampler.scene(rng) for _ in range(config.batch)]
            waveforms = np.stack([waveform for waveform, _ in scenes])
            targets = np.stack([target for _, target in scenes])
            lately = np.stack([heard_lately(target, config.lately) for target in targets])
            chunk = config.stream.chunk
            log_mel = self._features(torch.from_numpy(np.concatenate((waveforms, tail), axis=1)))
            masks = torch.Generator().manual_seed(int(rng.integers(2**31)))
            log_mel = equalise(
                log_mel, config.equaliser_db / (2 * config.spec.std) * np.log(10) / 10, config.spec.silence, masks
            )
            log_mel = spec_augment(log_mel, config.time_mask, config.frequency_mask, masks)
            yield log_mel, torch.from_numpy(targets), torch.from_numpy(lately[:, chunk - 1 :: chunk].copy())


def learning_rate(step: int, config: DistillConfig) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    return cosine(step - config.warmup, config.steps - config.warmup, config.learning_rate, 0.0)


def distillation_loss(model: StreamViT, batch: Sequence[Tensor], config: DistillConfig) -> Tensor:
    """Binary cross entropy against soft targets, of time steps and of chunks; summed over labels, mean of the rest."""
    log_mel, targets, lately = batch
    with torch.autocast(log_mel.device.type, torch.bfloat16):
        logits, _ = model(log_mel)
    frames = nnf.binary_cross_entropy_with_logits(logits.frames.float(), targets)
    chunks = nnf.binary_cross_entropy_with_logits(logits.chunks.float(), lately)
    return targets.shape[2] * (frames + config.chunk_weight * chunks) / (1 + config.chunk_weight)


@torch.inference_mode()
def validation_scores(
    model: StreamViT, waveforms: Waveforms, indices: Sequence[int], config: DistillConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The mean over time steps and the highest running score of whole recordings: two of (recordings, labels)."""
    features = BatchedLogMel(config.spec)
    chunk = config.stream.frames * config.spec.hop
    means, highest = [], []
    for index in indices:
        pcm = waveforms[index][: 15 * config.spec.sample_rate]
        samples = np.zeros(max(-(-len(pcm) // chunk), 1) * chunk + config.spec.window - config.spec.hop, np.float32)
        samples[: len(pcm)] = pcm / FULL_SCALE
        with torch.autocast("cpu", torch.bfloat16):
            logits, _ = model(features(torch.from_numpy(samples)[None]))
        means.append(logits.frames.float().sigmoid().mean(dim=1)[0].numpy())
        highest.append(logits.chunks.float().sigmoid().amax(dim=1)[0].numpy())
    return np.stack(means), np.stack(highest)


def mean_rank(
    scores: npt.NDArray[np.float32], recordings: Sequence[Recording], labels: Sequence[str]
) -> dict[str, float]:
    """How often the label that a person gave is the best-scored, or among the best five, each label counting alike."""
    hits: dict[str, list[tuple[bool, bool]]] = {}
    for row, recording in zip(scores, recordings, strict=True):
        if recording.label in labels:
            rank = int((row > row[labels.index(recording.label)]).sum())
            hits.setdefault(recording.label, []).append((rank < 1, rank < 5))
    per_label = np.array([np.mean(values, axis=0) for values in hits.values()])
    return {"top1": float(per_label[:, 0].mean()), "top5": float(per_label[:, 1].mean()), "labels": len(hits)}


def train(
    run_file: Path,
    sampler: SceneSampler,
    labels: list[str],
    config: DistillConfig,
    validate: Any,
    save_every: int,
    log_every: int = 100,
    workers: int = 1,
    initial: dict[str, Any] | None = None,
) -> StreamViT:
    """Trains to the end of the schedule, from `run_file` where that exists; returns the averaged weights."""
    torch.manual_seed(config.seed)
    model = StreamViT(config.stream, len(labels), config.spec.silence)
    nn.init.constant_(model.frame_head.bias, -4.0)
    nn.init.constant_(model.chunk_head.bias, -4.0)
    averaged = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW(parameter_groups(model))
    step = 0
    if run_file.is_file():
        saved = load_checkpoint(run_file, STREAM)
        if saved["labels"] != labels:
            raise WrongUse(f"{run_file}: was begun with other data (its labels differ); name a new run")
        model.load_state_dict(saved["raw"])
        averaged, step = saved["model"], saved["step"]
        optimiser.load_state_dict(saved["optimiser"])
    loader = iter(DataLoader(Scenes(sampler, config, step), batch_size=None, num_workers=workers, prefetch_factor=3))
    model.train()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean_loss, began, first = None, time.monotonic(), step

    def save() -> None:
        content = {
            "config": config.plain(),
            "labels": labels,
            "model": averaged,
            "raw": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
        }
        save_checkpoint(run_file, STREAM, content)

    while step < config.steps:
        rate = learning_rate(step, config)
        set_rates(optimiser, rate, config.weight_decay)
        loss = distillation_loss(model, next(loader), config)
        if not torch.isfinite(loss):
            raise AsitEdgeError(f"the loss is {loss.item()} at step {step}; try a lower learning rate")
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        step += 1
        decay = min(config.averaging, step / (step + 10))
        with torch.no_grad():
            for key, value in model.state_dict().items():
                averaged[key].lerp_(value, 1 - decay)
        mean_loss = loss.item() if mean_loss is None else 0.99 * mean_loss + 0.01 * loss.item()
        if step % log_every == 0:
            pace = (step - first) / (time.monotonic() - began)
            print(f"step {step}/{config.steps} loss {mean_loss:.4f} lr {rate:.2e} {pace:.2f} steps/s", flush=True)
        if step % save_every == 0 or step == config.steps:
            save()
            student = StreamViT(config.stream, len(labels), config.spec.silence).eval()
            student.load_state_dict(averaged)
            print(f"step {step} validation {json.dumps(validate(student))}", flush=True)
    model.load_state_dict(averaged)
    return model.eval()


def room_responses(recordings: Sequence[Recording], waveforms: Waveforms, rate: int) -> list[npt.NDArray[np.float32]]:
    """The recordings that are room responses, from their direct sound on, at most 0.8 s."""
    rooms = []
    for index, recording in enumerate(recordings):
        if f"/{ROOM_RESPONSES}" in recording.name:
            pcm = waveforms[index].astype(np.float32) / FULL_SCALE
            direct = int(np.abs(pcm).argmax())
            rooms.append(pcm[direct : direct + int(0.8 * rate)])
    return rooms


def distil(
    run_folder: Path,
    recordings: list[Recording],
    teachers: list[TeacherScores],
    config: DistillConfig,
    save_every: int,
    workers: int = 1,
) -> StreamViT:
    """From recordings and teachers' probabilities to a student; checkpoints are in `run_folder`."""
    run_folder.mkdir(parents=True, exist_ok=True)
    spec = config.spec
    waveforms = load_waveforms(recordings, spec.sample_rate, run_folder.parent / "waveforms")
    sounds = [
        (index, recording)
        for index, recording in enumerate(recordings)
        if f"/{ROOM_RESPONSES}" not in recording.name
        and (config.test_fold is None or recording.fold != config.test_fold)
    ]
    training = [pair for pair in sounds if pair[1].fold is not None or not is_held_out(pair[1], config.validation)]
    held_out = [pair for pair in sounds if pair[1].fold is None and is_held_out(pair[1], config.validation)]
    labels = choose_labels([recording for _, recording in training], teachers)
    if config.labels_only:
        teachers = []
    material = build_targets(
        [recording for _, recording in training], [index for index, _ in training], waveforms, teachers, labels, config
    )
    hours = float(np.diff(material.starts).sum() * STEP * spec.hop / spec.sample_rate / 3600)
    print(f"{len(material)} recordings to train on ({hours:.1f} h), {len(held_out)} to validate, {len(labels)} labels")
    sampler = SceneSampler(
        waveforms,
        material.indices,
        sampling_weights(material),
        material.targets,
        material.starts,
        spec.sample_rate,
        STEP * spec.hop,
        config.scenes,
        room_responses(recordings, waveforms, spec.sample_rate),
    )
    labelled = [(index, recording) for index, recording in held_out if recording.label in labels]

    def validate(student: StreamViT) -> dict[str, Any]:
        means, highest = validation_scores(student, waveforms, [index for index, _ in labelled], config)
        chosen = [recording for _, recording in labelled]
        return {"steps": mean_rank(means, chosen, labels), "chunks": mean_rank(highest, chosen, labels)}

    return train(run_folder / "student.pt", sampler, labels, config, validate, save_every, workers=workers)


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the run: its checkpoint; a run that is there goes on.")],
    data: Annotated[list[Path], typer.Option(help="Collection of recordings (manifest.csv or ESC-50 layout); repeat.")],
    scores: Annotated[list[Path] | None, typer.Option(help="Teachers' probabilities (.npz); repeat.")] = None,
    size: Annotated[str, typer.Option(help=f"Student: {', '.join(SIZES)}.")] = DistillConfig.size,
    steps: Annotated[int, typer.Option(min=1)] = DistillConfig.steps,
    batch: Annotated[int, typer.Option(min=1)] = DistillConfig.batch,
    lr: Annotated[float, typer.Option(min=0.0)] = DistillConfig.learning_rate,
    test_fold: Annotated[int | None, typer.Option(help="Fold (ESC-50 layout) that is left out.")] = None,
    labels_only: Annotated[bool, typer.Option("--labels-only", help="Ignore the teachers; for comparison.")] = False,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
    seed: Annotated[int, typer.Option()] = DistillConfig.seed,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """Distil teachers into a streaming student."""
    if threads:
        torch.set_num_threads(threads)
    if size not in SIZES:
        raise WrongUse(f"--size {size}: unknown; known are {', '.join(SIZES)}")
    recordings = [recording for root in data for recording in read_recordings(root)]
    recordings = [recording for recording in recordings if sharealike or not recording.sharealike]
    teachers = [read_teacher_scores(file) for file in scores or []]
    config = DistillConfig(
        size=size,
        steps=steps,
        batch=batch,
        learning_rate=lr,
        test_fold=test_fold,
        labels_only=labels_only,
        seed=seed,
    )
    distil(out, recordings, teachers, config, save_every)


if __name__ == "__main__":
    run("trainer.distill", main)
