"""What a run says of itself: a bar or plain lines, `metrics.jsonl`, TensorBoard, pictures.

A run that goes on writes every step once: what was written after the checkpoint that it goes on from is forgotten.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from trainer.run.files import write_whole

METRICS = "metrics.jsonl"


class Journal:
    """Writes into the run's folder; a process that is not the first makes none."""

    def __init__(self, folder: Path, first_step: int, steps: int, speaks: bool = True) -> None:
        """`speaks`: with a bar in a terminal, or a line for each record; else somebody else does."""
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
        losses = " ".join(f"{name.split('/')[1]} {metrics[name]:.4f}" for name in metrics if name.startswith("loss/"))
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
