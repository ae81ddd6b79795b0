"""The loop of fine-tuning, one for every task: batches, loss, step, average, and now and then the validation part.

With the recipe `detector` windows of a few seconds are drawn with what is audible in them; the paper's recipes train on
whole clips (`trainer.finetuning.recipes`).
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError
from trainer.data.augment import add_noise, roll_frames, spec_augment
from trainer.data.crops import WindowSampler
from trainer.data.features import BatchedLogMel
from trainer.data.recording import TrueEvent
from trainer.data.whole_clips import WholeClips, balanced_weights
from trainer.finetuning.checkpoint import new_classifier
from trainer.finetuning.config import FinetuneConfig, learning_rate
from trainer.models.classifier import Network, StreamClassifier
from trainer.models.pretrained import load_backbone
from trainer.run.layer_decay import layered_groups, set_scaled_rates
from trainer.run.precision import autocast
from trainer.students.student import begin_from

Weights = dict[str, Tensor]


def train(
    clips: Sequence[Samples],
    targets: Samples,
    config: FinetuneConfig,
    device: torch.device,
    name: str = "train",
    events: Sequence[Sequence[TrueEvent]] | None = None,
    validate: Callable[[Network], float] | None = None,
    categories: Sequence[str] = (),
) -> Network:
    """Trains on waveforms at the front end's rate with multi-hot targets (clips, classes), or strong labels.

    A student that knows some of the `categories` already begins with what it knows of them. Returns the averaged
    weights: the last ones, or with `validate` (higher is better) the best ones.
    """
    torch.manual_seed(config.seed)
    masks = torch.Generator().manual_seed(config.seed)
    features = BatchedLogMel(config.spec).to(device)
    model = new_classifier(config, targets.shape[1]).to(device).train()
    if config.initial is not None:
        begin(model, Path(config.initial), categories)
    optimiser = torch.optim.AdamW(layered_groups(model, config.layer_decay))
    batches = make_batches(clips, targets, config, events)
    averaged = {key: value.clone() for key, value in model.state_dict().items()}
    epoch_steps = max(len(clips) // config.batch, 1)
    every = max(config.steps // config.evaluations, 1)
    best, best_weights, since = float("-inf"), None, 0
    for step, report in progress(config.steps, name):
        set_scaled_rates(optimiser, learning_rate(step, config, epoch_steps), config.weight_decay)
        waveforms, labels = next(batches)
        log_mel = augmented(features(waveforms.to(device)), config, masks)
        with autocast(device):
            logits = model(log_mel).float()
        loss = loss_of(logits, labels.to(device), config)
        if not torch.isfinite(loss):
            raise AsitEdgeError(f"the loss is {loss.item()} at step {step}; try a lower learning rate")
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimiser.step()
        average(averaged, model.state_dict(), step, epoch_steps, config)
        report(loss.item())
        if validate and ((step + 1) % every == 0 or step + 1 == config.steps):
            score = validate(with_weights(config, targets.shape[1], averaged, device))
            if best_weights is None or score >= best:
                best, since = score, 0
                best_weights = {key: value.clone() for key, value in averaged.items()}
            else:
                since += 1
            print(f"{name}: step {step + 1} validation {score:.3f} (best {best:.3f})", file=sys.stderr)
            if config.patience and since >= config.patience:
                print(f"{name}: stopped, {since} evaluations without a better one", file=sys.stderr)
                break
    return with_weights(config, targets.shape[1], best_weights or averaged, device)


def begin(model: Network, initial: Path, categories: Sequence[str]) -> None:
    """Copies a pre-trained backbone or a distilled student into a network."""
    if isinstance(model, StreamClassifier):
        begin_from(initial, model.student, categories)
    else:
        load_backbone(model.backbone, initial)


def with_weights(config: FinetuneConfig, classes: int, weights: Weights, device: torch.device) -> Network:
    """A network of its own with these weights, ready to be evaluated."""
    model = new_classifier(config, classes).to(device)
    model.load_state_dict(weights)
    return model.eval()


def make_batches(
    clips: Sequence[Samples], targets: Samples, config: FinetuneConfig, events: Sequence[Sequence[TrueEvent]] | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Waveforms (batch, samples) and labels (batch, classes) or, with a frame head, (batch, time patches, classes)."""
    samples = config.spec.samples_for(config.frames)
    weights = balanced_weights(targets) if config.balanced else None
    if config.crop == "whole":
        whole = WholeClips(clips, targets, samples, config.batch, config.steps, config.mixup, config.seed, weights)
        if config.workers:
            yield from DataLoader(whole, batch_size=None, num_workers=config.workers, prefetch_factor=4)
            return
        for step in range(config.steps):
            waveforms, labels = whole[step]
            yield torch.from_numpy(waveforms), torch.from_numpy(labels)
        return
    rng = np.random.default_rng(config.seed)
    rate = config.spec.sample_rate
    sampler = WindowSampler(clips, targets, samples, rate, config.crops, rng, config.slots, events, weights)
    for _ in range(config.steps):
        waveforms, labels = sampler.batch(config.batch)
        yield torch.from_numpy(waveforms), torch.from_numpy(labels)


@torch.no_grad()
def augmented(log_mel: Tensor, config: FinetuneConfig, generator: torch.Generator) -> Tensor:
    """The recipe's changes to spectrograms (batch, frames, mels)."""
    log_mel = spec_augment(log_mel, config.time_mask, config.frequency_mask, generator)
    if config.noise:
        log_mel = add_noise(log_mel, config.noise, generator)
    return roll_frames(log_mel, config.roll, generator) if config.roll else log_mel


def loss_of(logits: Tensor, labels: Tensor, config: FinetuneConfig) -> Tensor:
    """Binary cross entropy of each class, or cross entropy against labels that sum to one (mixup's are shares)."""
    if config.loss == "ce":
        return nnf.cross_entropy(logits, labels)
    return nnf.binary_cross_entropy_with_logits(logits, labels)


def average(averaged: Weights, now: Weights, step: int, epoch_steps: int, config: FinetuneConfig) -> None:
    """Brings the weights to be saved up to date: a running average, a mean over epochs, or the newest weights."""
    if config.average_from is not None:
        epoch, place = divmod(step + 1, epoch_steps)
        count = epoch - config.average_from + 1
        between = 1.0 if count <= 0 else 0.0
        share = between if count <= 0 or place else 1 / count
    else:
        # The first steps weigh less, and the average reaches back over a tenth of a short run at most: weights that
        # have learnt nothing yet are no part of it.
        decay = min(config.averaging, (step + 1) / (step + 10), 1 - 10 / config.steps) if config.averaging else 0.0
        share = 1 - max(decay, 0.0)
    if share:
        for key, value in now.items():
            averaged[key].lerp_(value, share)


def progress(steps: int, name: str) -> Iterator[tuple[int, Any]]:
    """Steps with a place to report the loss to: a bar in a terminal, a line now and then in a log."""
    began = time.monotonic()
    average_loss = None
    with tqdm(total=steps, desc=name, disable=not sys.stderr.isatty()) as bar:
        for step in range(steps):

            def report(loss: float, step: int = step) -> None:
                nonlocal average_loss
                average_loss = loss if average_loss is None else 0.98 * average_loss + 0.02 * loss
                bar.set_postfix(loss=f"{average_loss:.4f}")
                bar.update()
                if bar.disable and ((step + 1) % 100 == 0 or step + 1 == steps):
                    seconds = time.monotonic() - began
                    print(f"{name}: step {step + 1}/{steps} loss {average_loss:.4f} {seconds:.0f} s", file=sys.stderr)

            yield step, report
