"""The loop of fine-tuning, one for every task: batches, loss, step, average, and now and then the validation part.

With the recipe `detector` windows of a few seconds are drawn with what is audible in them; the paper's recipes train on
whole clips (`trainer.finetuning.recipes`).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from torch.utils.data import DataLoader

from asit_edge.audio.samples import Samples
from trainer.data.augment import add_noise, roll_frames, spec_augment
from trainer.data.clips.batches import WholeClips, WindowClips
from trainer.data.clips.targets import MultiHot, Rows, of_table
from trainer.data.clips.windows import WindowSampler
from trainer.data.features import BatchedLogMel
from trainer.data.recording import TrueEvent
from trainer.finetuning.checkpoint import new_network
from trainer.finetuning.config import FinetuneConfig
from trainer.finetuning.negatives import Negatives
from trainer.finetuning.state import Running
from trainer.models.finetuned import FinetunedNetwork, StreamNetwork
from trainer.models.pretrained import load_backbone
from trainer.run.average import Weights
from trainer.run.engine import Engine, Progress, due
from trainer.run.optimisation import layered_groups
from trainer.run.precision import autocast
from trainer.run.ranks.agreement import Facts, alike
from trainer.run.ranks.distributed import Processes
from trainer.run.ranks.sharing import Share, in_parallel, share_of
from trainer.run.resuming.seeds import generator_of, seed_step
from trainer.students.student import begin_from


def train(
    clips: Sequence[Samples],
    targets: Rows,
    config: FinetuneConfig,
    processes: Processes,
    running: Running | None = None,
    events: Sequence[Sequence[TrueEvent]] | None = None,
    validate: Callable[[FinetunedNetwork], float] | None = None,
    categories: Sequence[str] = (),
    negatives: Negatives | None = None,
) -> FinetunedNetwork:
    """Trains on waveforms at the front end's rate with multi-hot targets (clips, classes), or strong labels.

    A student that knows some of the `categories` already begins with what it knows of them. A run that was stopped goes
    on from what `running` has kept: a step depends on the settings and its number alone, and not on how many processes
    share its batch. `negatives` are held against the classes of a student whose body is frozen, by one process. Returns
    the averaged weights: the last ones, or with `validate` (higher is better) the best ones. Raises WrongUse, on all
    processes, where they differ.
    """
    running, device = running or Running(), processes.device
    share = share_of(config.batch, processes)
    features = BatchedLogMel(config.spec).to(device)
    classes = targets.shape[1]
    model, engine = alike(processes, lambda: _begun(running, config, classes, categories, device))
    engine.agree(device)
    network = in_parallel(model, processes, some_unused=isinstance(model, StreamNetwork))  # its head of chunks
    best = running.best.alike()
    epoch_steps = max(len(clips) // config.batch, 1)
    every = max(config.steps // config.evaluations, 1)
    batches = make_batches(clips, targets, config, events, engine.done, share, device.type == "cuda")
    journal = running.open_journal(engine.done, config.steps) if processes.first else None
    with Progress(running.name, config.steps, engine.done, processes.first) as progress:
        while engine.done < config.steps and not (config.patience and best.since >= config.patience):
            step = engine.done
            waveforms, labels, skipped = next(batches)
            running.note(skipped)
            seed_step(config.seed, step, processes.rank)
            heard = features(waveforms.to(device, non_blocking=True))
            log_mel = augmented(heard, config, generator_of(config.seed, step, 1), share)
            loss = loss_at(network, log_mel, labels.to(device), config, negatives, step)
            moves, rate = config.share_at(step + 1, epoch_steps), config.rate_at(step, epoch_steps)
            engine.step(loss, rate, config.weight_decay, moves)
            progress.report(engine.done, engine.loss)
            record = {"loss/total": engine.loss, "learning rate": rate}
            if validate and due(engine.done, every, config.steps):
                score = validate(with_weights(config, classes, engine.average, device))
                best.take(score, engine.average)
                record["validation"] = score
                running.say(f"step {engine.done} validation {score:.3f} (best {best.score:.3f})", processes)
            if "validation" in record or due(engine.done, config.log_every, config.steps):
                running.put_together()
                if journal:
                    journal.record(engine.done, {**record, "skipped clips": float(len(running.skipped))})
            running.save(engine, config, categories, epoch_steps, processes)
    running.put_together()
    if journal:
        journal.close()
    if engine.done < config.steps:
        running.say(f"stopped, {best.since} evaluations without a better one", processes)
    return with_weights(config, classes, best.weights or engine.average, device)


def _begun(
    running: Running, config: FinetuneConfig, classes: int, categories: Sequence[str], device: torch.device
) -> tuple[tuple[FinetunedNetwork, Engine], Facts]:
    """The network as a run begins, or goes on, and what must be the same on all processes."""
    torch.manual_seed(config.seed)
    model = new_network(config, classes).to(device).train()
    if config.initial is not None:
        begin(model, Path(config.initial), categories)
    if config.frozen and isinstance(model, StreamNetwork):
        model.freeze_body()
    engine = Engine.alone(model, torch.optim.AdamW(layered_groups(model, config.layer_decay)), config.clip_norm)
    return (model, engine), running.go_on(engine, config, categories)


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
    targets: Rows,
    config: FinetuneConfig,
    events: Sequence[Sequence[TrueEvent]] | None,
    first: int,
    share: Share,
    pinned: bool,
) -> Iterator[tuple[Tensor, Tensor, dict[str, str]]]:
    """Waveforms (examples, samples) and labels (examples, classes) or, with a frame head, (examples, time patches,
    classes) of a share of the steps from `first` on; and what was left out on the way, and why.

    `pinned`: in memory from which a GPU copies by itself.
    """
    samples, rate = config.spec.samples_for(config.frames), config.spec.sample_rate
    weights = (targets if isinstance(targets, MultiHot) else of_table(targets)).balanced if config.balanced else None
    made: WholeClips | WindowClips
    if config.crop == "whole":
        made = WholeClips(
            clips, targets, samples, config.batch, config.steps, config.mixup, config.seed, weights, share
        )
    else:
        sampler = WindowSampler(clips, targets, samples, rate, config.crops, config.slots, events, weights)
        made = WindowClips(sampler, config.steps, config.seed, share, config.held)
    steps = range(first, config.steps)
    if config.workers:
        loader = DataLoader(
            made, batch_size=None, sampler=steps, num_workers=config.workers, prefetch_factor=4, pin_memory=pinned
        )
        yield from loader
        return
    for step in steps:
        taken = made[step]
        yield torch.from_numpy(taken.waveforms), torch.from_numpy(taken.labels), taken.skipped


@torch.no_grad()
def augmented(log_mel: Tensor, config: FinetuneConfig, generator: torch.Generator, share: Share) -> Tensor:
    """The recipe's changes to spectrograms (examples, frames, mels), which are a share of a batch."""
    log_mel = spec_augment(log_mel, config.time_mask, config.frequency_mask, generator, share)
    if config.noise:
        log_mel = add_noise(log_mel, config.noise, generator, share)
    return roll_frames(log_mel, config.roll, generator, share) if config.roll else log_mel


def loss_at(
    network: nn.Module,
    log_mel: Tensor,
    labels: Tensor,
    config: FinetuneConfig,
    negatives: Negatives | None,
    step: int,
) -> Tensor:
    """The loss of a batch, with that of negatives where there are some."""
    if negatives is None or not isinstance(network, StreamNetwork):
        with autocast(log_mel.device):
            logits = network(log_mel).float()
        return loss_of(logits, labels, config)
    with torch.no_grad(), autocast(log_mel.device):
        embedded = network.student.embed(log_mel)[0].float()
    loss = loss_of(network.student.classify(embedded).frames, labels, config)
    return loss + negatives.loss(network, embedded, generator_of(config.seed, step, 2))


def loss_of(logits: Tensor, labels: Tensor, config: FinetuneConfig) -> Tensor:
    """Binary cross entropy of each class, or cross entropy against labels that sum to one (mixup's are shares)."""
    if config.loss == "ce":
        return nnf.cross_entropy(logits, labels)
    return nnf.binary_cross_entropy_with_logits(logits, labels)
