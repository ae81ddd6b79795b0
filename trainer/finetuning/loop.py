"""The loop of fine-tuning, one for every task: batches, loss, step, average, and now and then the validation part.

With the recipe `detector` windows of a few seconds are drawn with what is audible in them; the paper's recipes train on
whole clips (`trainer.finetuning.recipes`).
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from torch.utils.data import DataLoader

from asit_edge.audio.samples import Samples
from trainer.data.augment import add_noise, roll_frames, spec_augment
from trainer.data.crops import WindowSampler
from trainer.data.features import BatchedLogMel
from trainer.data.recording import TrueEvent
from trainer.data.whole_clips import WholeClips, balanced_weights
from trainer.finetuning.checkpoint import new_network
from trainer.finetuning.config import FinetuneConfig
from trainer.finetuning.negatives import Negatives
from trainer.finetuning.state import Running
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork
from trainer.models.pretrained import load_backbone
from trainer.run.average import Weights
from trainer.run.engine import Engine, Progress, due
from trainer.run.journal import Journal
from trainer.run.optimisation import layered_groups
from trainer.run.precision import autocast
from trainer.run.resuming.seeds import generator_of, seed_step
from trainer.students.student import begin_from


def train(
    clips: Sequence[Samples],
    targets: Samples,
    config: FinetuneConfig,
    device: torch.device,
    running: Running | None = None,
    events: Sequence[Sequence[TrueEvent]] | None = None,
    validate: Callable[[FinetunedNetwork], float] | None = None,
    categories: Sequence[str] = (),
    negatives: Negatives | None = None,
) -> FinetunedNetwork:
    """Trains on waveforms at the front end's rate with multi-hot targets (clips, classes), or strong labels.

    A student that knows some of the `categories` already begins with what it knows of them. A run that was stopped goes
    on from what `running` has kept: a step depends on the settings and its number alone. `negatives` are held against
    the classes of a student whose body is frozen. Returns the averaged weights: the last ones, or with `validate`
    (higher is better) the best ones.
    """
    running = running or Running()
    torch.manual_seed(config.seed)
    features = BatchedLogMel(config.spec).to(device)
    classes = targets.shape[1]
    model = new_network(config, classes).to(device).train()
    if config.initial is not None:
        begin(model, Path(config.initial), categories)
    if config.frozen and isinstance(model, StreamNetwork):
        model.freeze_body()
    engine = Engine.alone(model, torch.optim.AdamW(layered_groups(model, config.layer_decay)), config.clip_norm)
    running.go_on(engine, config, categories)
    best = running.best
    epoch_steps = max(len(clips) // config.batch, 1)
    every = max(config.steps // config.evaluations, 1)
    batches = make_batches(clips, targets, config, events, engine.done)
    journal = Journal(running.journal, engine.done, config.steps, speaks=False) if running.journal else None
    with Progress(running.name, config.steps, engine.done) as progress:
        while engine.done < config.steps and not (config.patience and best.since >= config.patience):
            step = engine.done
            waveforms, labels, skipped = next(batches)
            running.note(skipped)
            seed_step(config.seed, step)
            log_mel = augmented(features(waveforms.to(device)), config, generator_of(config.seed, step, 1))
            loss = loss_at(model, log_mel, labels.to(device), config, negatives, device, step)
            share, rate = config.share_at(step + 1, epoch_steps), config.rate_at(step, epoch_steps)
            engine.step(loss, rate, config.weight_decay, share)
            progress.report(engine.done, loss.item())
            record = {"loss/total": loss.item(), "learning rate": rate, "skipped clips": float(len(running.skipped))}
            if validate and due(engine.done, every, config.steps):
                score = validate(with_weights(config, classes, engine.average, device))
                best.take(score, engine.average)
                record["validation"] = score
                print(
                    f"{running.name}: step {engine.done} validation {score:.3f} (best {best.score:.3f})",
                    file=sys.stderr,
                )
            if journal and ("validation" in record or due(engine.done, config.log_every, config.steps)):
                journal.record(engine.done, record)
            running.save(engine, config, categories, epoch_steps)
    if journal:
        journal.close()
    if engine.done < config.steps:
        print(f"{running.name}: stopped, {best.since} evaluations without a better one", file=sys.stderr)
    return with_weights(config, classes, best.weights or engine.average, device)


def begin(model: FinetunedNetwork, initial: Path, categories: Sequence[str]) -> None:
    """Copies a pre-trained backbone or a distilled student into a network."""
    if isinstance(model, StreamNetwork):
        begin_from(initial, model.student, categories)
    else:
        load_backbone(model.backbone, initial)


def with_weights(config: FinetuneConfig, classes: int, weights: Weights, device: torch.device) -> FinetunedNetwork:
    """A network of its own with these weights, ready to be evaluated."""
    model = new_network(config, classes).to(device)
    model.load_state_dict(weights)
    return model.eval()


def make_batches(
    clips: Sequence[Samples],
    targets: Samples,
    config: FinetuneConfig,
    events: Sequence[Sequence[TrueEvent]] | None,
    first: int = 0,
) -> Iterator[tuple[Tensor, Tensor, dict[str, str]]]:
    """Waveforms (batch, samples) and labels (batch, classes) or, with a frame head, (batch, time patches, classes) of
    the steps from `first` on; and what was left out on the way, and why."""
    samples = config.spec.samples_for(config.frames)
    weights = balanced_weights(targets) if config.balanced else None
    steps = range(first, config.steps)
    if config.crop == "whole":
        whole = WholeClips(clips, targets, samples, config.batch, config.steps, config.mixup, config.seed, weights)
        if config.workers:
            loader = DataLoader(whole, batch_size=None, sampler=steps, num_workers=config.workers, prefetch_factor=4)
            yield from loader
            return
        for step in steps:
            taken = whole[step]
            yield torch.from_numpy(taken.waveforms), torch.from_numpy(taken.labels), taken.skipped
        return
    rate = config.spec.sample_rate
    sampler = WindowSampler(clips, targets, samples, rate, config.crops, config.slots, events, weights)
    for step in steps:
        waveforms, labels = sampler.batch(config.batch, np.random.default_rng((config.seed, step)))
        yield torch.from_numpy(waveforms), torch.from_numpy(held(labels, config.held)), {}


def held(labels: Samples, steps: int) -> Samples:
    """Labels (batch, ..., classes) of which each also counts for the `steps` - 1 time steps after its own."""
    if steps == 1:
        return labels
    padded = np.pad(labels, ((0, 0), (steps - 1, 0), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, steps, axis=1).max(axis=-1)


@torch.no_grad()
def augmented(log_mel: Tensor, config: FinetuneConfig, generator: torch.Generator) -> Tensor:
    """The recipe's changes to spectrograms (batch, frames, mels)."""
    log_mel = spec_augment(log_mel, config.time_mask, config.frequency_mask, generator)
    if config.noise:
        log_mel = add_noise(log_mel, config.noise, generator)
    return roll_frames(log_mel, config.roll, generator) if config.roll else log_mel


def loss_at(
    model: FinetunedNetwork,
    log_mel: Tensor,
    labels: Tensor,
    config: FinetuneConfig,
    negatives: Negatives | None,
    device: torch.device,
    step: int,
) -> Tensor:
    """The loss of a batch, with that of negatives where there are some."""
    if negatives is None or not isinstance(model, StreamNetwork):
        with autocast(device):
            logits = model(log_mel).float()
        return loss_of(logits, labels, config)
    with torch.no_grad(), autocast(device):
        embedded = model.student.embed(log_mel)[0].float()
    loss = loss_of(model.student.classify(embedded).frames, labels, config)
    return loss + negatives.loss(model, embedded, generator_of(config.seed, step, 2))


def loss_of(logits: Tensor, labels: Tensor, config: FinetuneConfig) -> Tensor:
    """Binary cross entropy of each class, or cross entropy against labels that sum to one (mixup's are shares)."""
    if config.loss == "ce":
        return nnf.cross_entropy(logits, labels)
    return nnf.binary_cross_entropy_with_logits(logits, labels)
