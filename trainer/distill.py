"""Distillation: `python -m trainer.distill RUN --data DIR... --teacher FILE...`: teachers' knowledge into a stream.

Labelled and unlabelled recordings together; targets in time from what teachers said of windows, and labels on top.
One readable loop; a killed run goes on where it was.
"""

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as nnf
import typer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.frontend import FrontEnd
from asit_edge.pipeline import Scorer
from trainer.audioset import read_labels
from trainer.augment import equalise, spec_augment
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.cnn import WindowCnn
from trainer.command import run
from trainer.distill_config import CNN, DistillConfig
from trainer.feature_teacher import FeatureTeacher
from trainer.features import BatchedLogMel
from trainer.frame_targets import heard_lately
from trainer.live_teacher import LiveTeacher
from trainer.material import build_targets, choose_labels, sampling_weights
from trainer.muon import MuonAdamW, block_matrices
from trainer.optimisation import parameter_groups, set_rates
from trainer.precision import autocast
from trainer.recordings import FULL_SCALE, Recording, Waveforms, is_held_out, load_waveforms, read_recordings
from trainer.scenes import SceneConfig, SceneSampler
from trainer.schedules import cosine
from trainer.streaming_vit import SIZES, STEP, StreamViT
from trainer.student import STUDENT, begin_from, new_student, student_classifier, student_of
from trainer.teachers import teacher_scores

ROOM_RESPONSES = "rir_"
"""Recordings in folders of this beginning are room responses: something to hear sounds through, not sounds."""


class Batch(NamedTuple):
    """Log-mel (B, frames, mels), masked; targets of time steps (B, S, K) and of what was `lately` heard at each one;
    the log-mel before masks, empty where nobody asks for it."""

    log_mel: Tensor
    targets: Tensor
    lately: Tensor
    unmasked: Tensor


class Scenes(IterableDataset[Batch]):
    """Batches of scenes from batch number `first` on; the n-th is always the same."""

    def __init__(self, sampler: SceneSampler, config: DistillConfig, first: int, labels: Sequence[str] = ()) -> None:
        self._sampler, self._config, self._first = sampler, config, first
        self._live = LiveTeacher(Path(config.live), labels, config.spec.sample_rate) if config.live else None
        self._features = BatchedLogMel(config.spec)

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in itertools.count(self._first + offset, stride):
            yield self.batch(number)

    def batch(self, number: int) -> Batch:
        config, spec = self._config, self._config.spec
        rng = np.random.default_rng((config.seed, number))
        scenes = [self._sampler.scene(rng) for _ in range(config.batch)]
        targets = np.stack([target for _, target in scenes])
        # The last frame looks a little past the scene.
        waveforms = np.zeros((config.batch, self._sampler.samples + spec.window - spec.hop), np.float32)
        waveforms[:, : self._sampler.samples] = [waveform for waveform, _ in scenes]
        if self._live is not None:
            heard = self._live(torch.from_numpy(waveforms[:, : self._sampler.samples]))
            targets = np.maximum(targets, heard.numpy())
        masks = torch.Generator().manual_seed(int(rng.integers(2**31)))
        response = config.equaliser_db * np.log(10) / 10 / (2 * spec.std)
        log_mel = equalise(self._features(torch.from_numpy(waveforms)), response, spec.silence, masks)
        return Batch(
            spec_augment(log_mel, config.time_mask, config.frequency_mask, masks),
            torch.from_numpy(targets),
            torch.from_numpy(np.stack([heard_lately(target, config.lately) for target in targets])),
            log_mel if config.features else log_mel[:, :0],
        )


def learning_rate(step: int, config: DistillConfig) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    return cosine(step - config.warmup, config.steps - config.warmup, config.learning_rate, 0.0)


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
    assert isinstance(model, StreamViT)
    chunk = model.config.chunk
    with autocast(batch.log_mel.device):
        embedded, _ = model.embed(batch.log_mel)
        heard = model.classify(embedded)
        apart = features(embedded, batch.unmasked) if features is not None else None
    frames = nnf.binary_cross_entropy_with_logits(heard.frames.float(), batch.targets)
    chunks = nnf.binary_cross_entropy_with_logits(heard.chunks.float(), batch.lately[:, chunk - 1 :: chunk])
    loss = classes * (frames + config.chunk_weight * chunks) / (1 + config.chunk_weight)
    return loss if apart is None else loss + config.feature_weight * apart


def validation_scores(
    student: nn.Module, waveforms: Waveforms, indices: Sequence[int], spec: FrontEnd
) -> list[npt.NDArray[np.float32]]:
    """Scores of recordings (their first 10 s), each (decisions, labels): those of a device, a stream's all at once."""
    features = BatchedLogMel(spec)
    classifier = None if isinstance(student, StreamViT) else student_classifier(student, spec)
    silence = student.silent_memory() if isinstance(student, StreamViT) else []
    scores = []
    for index in indices:
        samples = waveforms[index][: 10 * spec.sample_rate] / np.float32(FULL_SCALE)
        if classifier is not None:
            scorer = Scorer(spec, classifier, spec.sample_rate)
            scores.append(np.stack([one.scores for one in (*scorer.push(samples), *scorer.flush())]))
            continue
        assert isinstance(student, StreamViT)
        frames = student.config.frames
        chunks = max(-(-len(samples) // (frames * spec.hop)), 1)
        padded = np.zeros(spec.samples_for(chunks * frames), np.float32)
        padded[: len(samples)] = samples
        with torch.inference_mode():
            logits, _ = student(features(torch.from_numpy(padded)[None]), silence)
            scores.append(logits.frames[0].sigmoid().numpy())
    return scores


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
    validate: Callable[[nn.Module], dict[str, float]],
    save_every: int,
    workers: int = 1,
) -> nn.Module:
    """Trains to the end of the schedule, from `run_file` where that exists; returns the averaged weights."""
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = new_student(config, len(labels))
    features = _feature_teacher(model, config)
    averaged = {key: value.clone() for key, value in model.state_dict().items()}
    begun, saved = 0, None
    if config.initial and not run_file.is_file():
        begin_from(Path(config.initial), model, labels)
        averaged = {key: value.clone() for key, value in model.state_dict().items()}
    if run_file.is_file():
        saved = load_checkpoint(run_file, STUDENT)
        if saved["labels"] != labels:
            raise WrongUse(f"{run_file}: was begun with other data (its labels differ); name a new run")
        begun_with = saved["config"].get("optimiser", "adamw")
        if begun_with != config.optimiser:
            raise WrongUse(f"{run_file}: was begun with --optimiser {begun_with}; give that or name a new run")
        model.load_state_dict(saved["raw"])
        averaged, begun = saved["model"], saved["step"]
    whole = nn.ModuleList([model] if features is None else [model, features]).to(device).train()
    whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = {key: value.to(device) for key, value in averaged.items()}
    optimiser = make_optimiser(whole, config)
    if saved is not None:
        if features is not None:
            features.projection.load_state_dict(saved["projection"])
        optimiser.load_state_dict(saved["optimiser"])
    loader = iter(DataLoader(Scenes(sampler, config, begun, labels), batch_size=None, num_workers=workers))
    for step in range(begun + 1, config.steps + 1):
        rate = learning_rate(step - 1, config)
        set_rates(optimiser, rate, config.weight_decay)
        batch = Batch(*(part.to(device) for part in next(loader)))
        loss = distillation_loss(model, batch, config, features)
        if not torch.isfinite(loss):
            raise AsitEdgeError(f"the loss is {loss.item()} at step {step}; try a lower learning rate")
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(whole.parameters(), config.clip_norm)
        optimiser.step()
        follow(averaged, model, min(config.averaging, step / (step + 10), 1 - 10 / max(config.steps, 20)))
        if step % 100 == 0:
            print(f"step {step}/{config.steps} loss {loss.item():.3f} lr {rate:.2e}", file=sys.stderr, flush=True)
        if step % save_every == 0 or step == config.steps:
            content = {
                "config": config.plain(),
                "labels": labels,
                "model": averaged,
                "raw": model.state_dict(),
                "projection": features.projection.state_dict() if features is not None else None,
                "optimiser": optimiser.state_dict(),
                "step": step,
            }
            save_checkpoint(run_file, STUDENT, content)
            print(json.dumps({"step": step, **validate(student_of(config, labels, averaged))}), flush=True)
    return student_of(config, labels, averaged)


def make_optimiser(network: nn.Module, config: DistillConfig) -> torch.optim.Optimizer | MuonAdamW:
    """That of the configuration; AdamW where there are no transformer blocks."""
    if config.optimiser == "muon" and block_matrices(network):
        return MuonAdamW(network)
    return torch.optim.AdamW(parameter_groups(network))


def follow(averaged: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Running average of weights and statistics; counters are copied."""
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                averaged[key].lerp_(value, 1 - decay)
            else:
                averaged[key].copy_(value)


def _feature_teacher(model: nn.Module, config: DistillConfig) -> FeatureTeacher | None:
    if config.features is None or not isinstance(model, StreamViT):
        return None
    embedding = model.frame_head.in_features
    return FeatureTeacher(Path(config.features), config.features_size, config.scenes.steps, config.spec.mels, embedding)


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
    out: Path, recordings: list[Recording], sources: Sequence[Path], config: DistillConfig, save_every: int
) -> nn.Module:
    """From recordings and teachers to a student. Beside the run `out` waveforms and teachers' scores are kept."""
    out.mkdir(parents=True, exist_ok=True)
    spec = config.spec
    recordings = [
        recording for recording in recordings if config.test_fold is None or recording.fold != config.test_fold
    ]
    waveforms = load_waveforms(recordings, spec.sample_rate, out.parent / "waveforms")
    cache = out.parent / "teachers"
    teachers = [teacher_scores(source, recordings, waveforms, spec.sample_rate, cache) for source in sources]
    sounds = [index for index, recording in enumerate(recordings) if not is_room(recording)]
    training = [index for index in sounds if not held_out(recordings[index], config)]
    validation = [index for index in sounds if held_out(recordings[index], config)]
    labels = choose_labels([recordings[index] for index in training], teachers)
    used = [] if config.labels_only else teachers
    material = build_targets([recordings[index] for index in training], training, waveforms, used, labels, config)
    hours = float(np.diff(material.starts).sum() * STEP * spec.hop / spec.sample_rate / 3600)
    print(
        f"{len(training)} recordings to train on ({hours:.1f} h), {len(validation)} to validate, {len(labels)} labels",
        file=sys.stderr,
    )
    sampler = SceneSampler(
        waveforms,
        material.indices,
        sampling_weights(material, config.focus),
        material.targets,
        material.starts,
        spec.sample_rate,
        STEP * spec.hop,
        config.scenes,
        room_responses(recordings, waveforms, spec.sample_rate),
    )
    labelled = [index for index in validation if recordings[index].label in labels]

    def validate(student: nn.Module) -> dict[str, float]:
        if not labelled:
            return {}
        scores = validation_scores(student, waveforms, labelled, spec)
        means = np.stack([one.mean(axis=0) for one in scores])
        return mean_rank(means, [recordings[index] for index in labelled], labels)

    return train(out / "student.pt", sampler, labels, config, validate, save_every)


def is_room(recording: Recording) -> bool:
    return f"/{ROOM_RESPONSES}" in recording.name


def held_out(recording: Recording, config: DistillConfig) -> bool:
    """Whether a recording is for validation; collections with folds have a test fold instead."""
    return recording.fold is None and is_held_out(recording, config.validation)


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the run: its checkpoint; a run that is there goes on.")],
    data: Annotated[list[Path], typer.Option(help="Collection of recordings (manifest.csv or ESC-50 layout); repeat.")],
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Stored scores, YAMNet, EfficientAT, checkpoint, bundle or ONNX (docs/streaming.md); repeat."
        ),
    ] = None,
    size: Annotated[str, typer.Option(help=f"Student: {', '.join(SIZES)} or cnn.")] = DistillConfig.size,
    chunk: Annotated[int | None, typer.Option(min=1, max=6, help="Time steps of 0.16 s a chunk; default 2.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = DistillConfig.steps,
    batch: Annotated[int, typer.Option(min=1)] = DistillConfig.batch,
    lr: Annotated[float, typer.Option(min=0.0)] = DistillConfig.learning_rate,
    optimiser: Annotated[str, typer.Option(help="muon or adamw.")] = DistillConfig.optimiser,
    initial: Annotated[
        Path | None, typer.Option(help="Student of an earlier run, of the same size, to begin from.")
    ] = None,
    focus: Annotated[
        Path | None, typer.Option(help="Labels that matter (trainer/everyday.txt): the others are heard less often.")
    ] = None,
    test_fold: Annotated[int | None, typer.Option(help="Fold (ESC-50 layout) that is left out.")] = None,
    labels_only: Annotated[
        bool, typer.Option("--labels-only", help="Use the teachers to choose labels only; for comparison.")
    ] = False,
    live: Annotated[
        Path | None, typer.Option(help="EfficientAT teacher (.pt) that hears every scene of the training itself.")
    ] = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.5, help="Sounds are played up to this share faster or slower; with --live 0.4 is better."
        ),
    ] = SceneConfig.speed,
    features: Annotated[
        Path | None, typer.Option(help="Pre-trained ASiT whose features the student also learns.")
    ] = None,
    features_size: Annotated[str, typer.Option(help="Size of that ASiT.")] = DistillConfig.features_size,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
    seed: Annotated[int, typer.Option()] = DistillConfig.seed,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """Distil teachers into a streaming student."""
    if threads:
        torch.set_num_threads(threads)
    if size not in (*SIZES, CNN):
        raise WrongUse(f"--size {size}: unknown; known are {', '.join(SIZES)} and {CNN}")
    if optimiser not in ("muon", "adamw"):
        raise WrongUse(f"--optimiser {optimiser}: unknown; known are muon and adamw")
    recordings = [recording for root in data for recording in read_recordings(root)]
    recordings = [recording for recording in recordings if sharealike or not recording.sharealike]
    config = DistillConfig(
        size=size,
        steps=steps,
        batch=batch,
        learning_rate=lr,
        optimiser=cast(Literal["muon", "adamw"], optimiser),
        initial=str(initial) if initial else None,
        focus=read_labels(focus) if focus else [],
        test_fold=test_fold,
        labels_only=labels_only,
        live=str(live) if live else None,
        features=str(features) if features else None,
        features_size=features_size,
        seed=seed,
        scenes=SceneConfig(speed=speed),
        model=asdict(replace(SIZES[size], chunk=chunk)) if chunk and size in SIZES else None,
    )
    distil(out, recordings, teacher or [], config, save_every)


if __name__ == "__main__":
    run("trainer.distill", main)
