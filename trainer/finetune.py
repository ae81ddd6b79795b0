"""Fine-tuning: `python -m trainer.finetune esc50 --data DIR --out DIR`. One readable loop over random windows.

The model is trained as a detector, not only as a classifier: windows of a few seconds instead of whole clips, a
sigmoid per class, and windows in which a clip is not audible count as "none of them".
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as nnf
import typer
from torch import nn
from tqdm import tqdm

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.augment import spec_augment
from trainer.checkpoint import save_classifier
from trainer.classifier import ClipClassifier
from trainer.command import new_app, run
from trainer.crops import Samples, WindowSampler
from trainer.esc50 import read_esc50
from trainer.evaluate import Report, evaluate_clips, print_reports
from trainer.features import BatchedLogMel
from trainer.finetune_config import FinetuneConfig, learning_rate
from trainer.optimisation import parameter_groups, set_rates
from trainer.vit import SIZES
from trainer.weights import load_backbone


def train(
    clips: list[Samples], targets: Samples, config: FinetuneConfig, device: torch.device, name: str = "train"
) -> ClipClassifier:
    """Trains on waveforms at the front end's rate with multi-hot targets (clips, classes); returns averaged weights."""
    torch.manual_seed(config.seed)
    masks = torch.Generator().manual_seed(config.seed)
    window = config.spec.samples_for(config.frames)
    rng = np.random.default_rng(config.seed)
    sampler = WindowSampler(clips, targets, window, config.spec.sample_rate, config.crops, rng)
    features = BatchedLogMel(config.spec).to(device)
    model = ClipClassifier(config.backbone, targets.shape[1]).to(device).train()
    if config.initial is not None:
        load_backbone(model.backbone, Path(config.initial))
    averaged = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(model))
    for step, report in progress(config.steps, name):
        set_rates(optimizer, learning_rate(step, config), config.weight_decay)
        waveforms, labels = (torch.from_numpy(array).to(device) for array in sampler.batch(config.batch))
        with torch.no_grad():
            log_mel = spec_augment(features(waveforms), config.time_mask, config.frequency_mask, masks)
        loss = nnf.binary_cross_entropy_with_logits(model(log_mel), labels)
        if not torch.isfinite(loss):
            raise AsitEdgeError(f"the loss is {loss.item()} at step {step}; try a lower learning rate")
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        decay = min(config.averaging, (step + 1) / (step + 10))
        for key, value in model.state_dict().items():
            averaged[key].lerp_(value, 1 - decay)
        report(loss.item())
    model.load_state_dict(averaged)
    return model.eval()


def progress(steps: int, name: str) -> Iterator[tuple[int, Any]]:
    """Steps with a place to report the loss to: a bar in a terminal, a line now and then in a log."""
    began = time.monotonic()
    average = None
    with tqdm(total=steps, desc=name, disable=not sys.stderr.isatty()) as bar:
        for step in range(steps):

            def report(loss: float, step: int = step) -> None:
                nonlocal average
                average = loss if average is None else 0.98 * average + 0.02 * loss
                bar.set_postfix(loss=f"{average:.4f}")
                bar.update()
                if bar.disable and ((step + 1) % 100 == 0 or step + 1 == steps):
                    seconds = time.monotonic() - began
                    print(f"{name}: step {step + 1}/{steps} loss {average:.4f} {seconds:.0f} s", file=sys.stderr)

            yield step, report


app = new_app(__doc__)


@app.callback()
def _tasks() -> None:
    """Keeps the task a word of its own on the command line while there is only one."""


@app.command()
def esc50(
    data: Annotated[Path, typer.Option(help="Folder in the ESC-50 layout: meta/esc50.csv or esc10.csv, audio/.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints.")],
    test_fold: Annotated[
        list[int] | None,
        typer.Option(help="Train without this fold and test on it; repeat for more; default all."),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Train on every fold and test on none.")] = False,
    size: Annotated[str, typer.Option(help="Model size: nano, tiny, small or base.")] = FinetuneConfig.size,
    initial: Annotated[
        Path | None, typer.Option(help="Weights to begin with: of trainer.pretrain, ASiT's authors, timm or DeiT.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = FinetuneConfig.steps,
    batch: Annotated[int, typer.Option(min=1)] = FinetuneConfig.batch,
    lr: Annotated[float, typer.Option(min=0.0)] = FinetuneConfig.learning_rate,
    seed: Annotated[int, typer.Option()] = FinetuneConfig.seed,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: all.")] = 0,
) -> None:
    """ESC-50 or ESC-10, by the folds of its authors: one checkpoint a test fold, and the accuracy on it."""
    if threads:
        torch.set_num_threads(threads)
    if size not in SIZES:
        raise WrongUse(f"--size {size}: unknown; known are {', '.join(SIZES)}")
    weights = str(initial) if initial else None
    config = FinetuneConfig(size=size, initial=weights, steps=steps, batch=batch, learning_rate=lr, seed=seed)
    dataset = read_esc50(data)
    if unknown := set(test_fold or []) - set(dataset.folds):
        raise WrongUse(f"--test-fold {min(unknown)}: the data has folds {', '.join(map(str, dataset.folds))}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    clips, targets = dataset.load(config.spec.sample_rate), dataset.targets
    reports: dict[str, Report] = {}
    for fold in [None] if everything else test_fold or dataset.folds:
        chosen = [index for index, clip in enumerate(dataset.clips) if clip.fold != fold]
        name = f"fold{fold}" if fold is not None else "everything"
        model = train([clips[index] for index in chosen], targets[chosen], config, device, name).cpu()
        record: dict[str, Any] = {"data": data.name, "trained_on_clips": len(chosen), "test_fold": fold}
        if fold is not None:
            test = [index for index, clip in enumerate(dataset.clips) if clip.fold == fold]
            report = evaluate_clips(model, config, [clips[index] for index in test], targets[test])
            record |= {"accuracy": report.accuracy, "clips": report.clips}
            reports[name] = report
        save_classifier(out / f"{name}.pt", model, config, dataset.labels, record)
        print(f"saved {out / name}.pt")
    print_reports(reports)


if __name__ == "__main__":
    run("trainer.finetune", app)
