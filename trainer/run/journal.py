"""What a run says of itself: a bar or plain lines, `metrics.jsonl`, TensorBoard, pictures.

A run that goes on writes every step once: what was written after the checkpoint that it goes on from is forgotten.
Weights & Biases hears of it only where somebody asked for that, and of nothing but settings and scalars.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from asit_edge.errors import WrongUse, one_line
from trainer.run.files import write_whole

METRICS = "metrics.jsonl"


class Tracker(Protocol):
    """Who else hears of scalars: a run of Weights & Biases."""

    def log(self, data: dict[str, Any], step: int | None = None) -> object: ...

    def finish(self) -> object: ...


def tracker(project: str, folder: Path, settings: Mapping[str, Any]) -> Tracker:
    """A run of Weights & Biases (the extra `wandb`), the same one whenever the run in that folder goes on.

    Settings and scalars go there, or with WANDB_MODE=offline into the folder; not the program, git, the machine or what
    it prints, and no report of errors to its makers; W&B adds its version, Python's and the kind of system.
    """
    for name in ("ERROR_REPORTING", "DISABLE_CODE", "DISABLE_GIT"):
        os.environ.setdefault(f"WANDB_{name}", "false" if name == "ERROR_REPORTING" else "true")
    import wandb

    quiet = wandb.Settings(
        console="off",
        silent=True,
        host="not told",
        username="not told",
        program="trainer.pretrain",
        x_save_requirements=False,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
    )
    try:
        identity = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
        return wandb.init(
            project=project,
            dir=str(folder),
            name=folder.name,
            id=identity,
            resume="allow",
            config=dict(settings),
            settings=quiet,
        )
    except wandb.errors.Error as error:
        raise WrongUse(
            f"--wandb {project}: {one_line(error)}; log in with wandb login, set WANDB_MODE=offline, or leave it out"
        ) from None


class Journal:
    """Writes into the run's folder; a process that is not the first makes none."""

    def __init__(
        self, folder: Path, first_step: int, steps: int, tracker: Tracker | None = None, speaks: bool = True
    ) -> None:
        """`speaks`: with a bar in a terminal, or a line for each record; else somebody else does."""
        self._tracker = tracker
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._speaks = folder, speaks
        self._scalars = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1 if first_step else 0)
        forget_after(folder / METRICS, first_step)
        self._lines = (folder / METRICS).open("a", encoding="utf-8")
        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=first_step, unit="step", disable=not terminal or not speaks)
        self._plain = not terminal

    def advance(self) -> None:
        """One step is done."""
        self._bar.update()

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """The scalars of a step, by name ("loss/total")."""
        for name, value in metrics.items():
            self._scalars.add_scalar(name, value, step)
        self._lines.write(json.dumps({"step": step, **metrics}) + "\n")
        self._lines.flush()
        if self._tracker:
            self._tracker.log(dict(metrics), step=step)
        shown = [name for name in metrics if name.startswith(("loss/", "probe/"))]
        losses = " ".join(f"{name.split('/')[1]} {metrics[name]:.4f}" for name in shown)
        if not self._speaks:
            return
        if self._plain:
            speed = f", {metrics['clips per second']:.1f} clips/s" if "clips per second" in metrics else ""
            self.say(f"step {step}: {losses}{speed}")
        else:
            self._bar.set_postfix_str(losses)

    def say(self, sentence: str) -> None:
        """One line for people, now."""
        if self._plain:
            print(sentence, flush=True)
        else:
            self._bar.write(sentence)

    def picture(self, step: int, figure: Figure) -> None:
        folder = self._folder / "pictures"
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"step-{step:07d}.png", dpi=80)
        self._scalars.add_figure("reconstruction", figure, step)

    def close(self) -> None:
        self._bar.close()
        self._scalars.close()
        if self._tracker:
            self._tracker.finish()
        self._lines.close()


def forget_after(metrics: Path, step: int) -> None:
    """Takes the lines of later steps out of a `metrics.jsonl`, which a run that goes on from `step` will write again,
    and a line that a kill has cut off."""
    if not metrics.is_file():
        return
    lines = metrics.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _is_of(line, step)]
    if kept != lines:
        write_whole(metrics, "".join(kept).encode())


def _is_of(line: str, last: int) -> bool:
    try:
        return line.endswith("\n") and int(json.loads(line)["step"]) <= last
    except (ValueError, KeyError, TypeError):
        return False
