"""The loop of fine-tuning, one for every task: batches, loss, step, average, and now and then the validation part.

With the recipe `detector` windows of a few seconds are drawn with what is audible in them; the paper's recipes train on
whole clips (`trainer.finetuning.recipes`).
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork
from trainer.models.pretrained import load_backbone
from trainer.run.average import Weights
from trainer.run.engine import Engine, Progress, due
from trainer.run.optimisation import layered_groups
from trainer.run.precision import autocast
from trainer.students.student import begin_from


def train(
    clips: Sequence[Samples],
    targets: Samples,
    config: FinetuneConfig,
    device: torch.device,
    name: str = "train",
    events: Sequence[Sequence[TrueEvent]] | None = None,
    validate: Callable[[FinetunedNetwork], float] | None = None,
    categories: Sequence[str] = (),
) -> FinetunedNetwork:
    """Trains on waveforms at the front end's rate with multi-hot targets (clips, classes), or strong labels.

    A student that knows some of the `categories` already begins with what it knows of them. Returns the averaged
    weights: the last ones, or with `validate` (higher is better) the best ones.
    """
    torch.manual_seed(config.seed)
    masks = torch.Generator().manual_seed(config.seed)
    features = BatchedLogMel(config.spec).to(device)
    classes = targets.shape[1]
    model = new_network(config, classes).to(device).train()
    if config.initial is not None:
        begin(model, Path(config.initial), categories)
    engine = Engine.alone(model, torch.optim.AdamW(layered_groups(model, config.layer_decay)), config.clip_norm)
    epoch_steps = max(len(clips) // config.batch, 1)
    every = max(config.steps // config.evaluations, 1)
    best = Best()
    with Progress(name, config.steps) as progress:
        for step, (waveforms, labels) in enumerate(make_batches(clips, targets, config, events)):
            log_mel = augmented(features(waveforms.to(device)), config, masks)
            with autocast(device):
                logits = model(log_mel).float()
            loss = loss_of(logits, labels.to(device), config)
            share = config.share_at(step + 1, epoch_steps)
            engine.step(loss, config.rate_at(step, epoch_steps), config.weight_decay, share)
            progress.report(engine.done, loss.item())
            if validate and due(engine.done, every, config.steps):
                score = validate(with_weights(config, classes, engine.average, device))
                best.take(score, engine.average)
                print(f"{name}: step {engine.done} validation {score:.3f} (best {best.score:.3f})", file=sys.stderr)
                if config.patience and best.since >= config.patience:
                    print(f"{name}: stopped, {best.since} evaluations without a better one", file=sys.stderr)
                    break
    return with_weights(config, classes, best.weights or engine.average, device)


@dataclass
class Best:
    """The weights of the highest score so far, and how many evaluations there were since."""

    score: float = float("-inf")
    weights: Weights | None = None
    since: int = 0

    def take(self, score: float, weights: Weights) -> None:
        """Of equal scores the later one counts; the first is taken whatever it is."""
        if self.weights is None or score >= self.score:
            self.score, self.since = score, 0
            self.weights = {key: value.clone() for key, value in weights.items()}
        else:
            self.since += 1


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
