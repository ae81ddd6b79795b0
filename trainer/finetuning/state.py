"""What a run of fine-tuning keeps on disk while it lasts, so that one that was killed goes on to the same weights."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asit_edge.errors import WrongUse
from trainer.finetuning.config import MAY_CHANGE, FinetuneConfig
from trainer.run.average import Weights
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.run.engine import Engine, due
from trainer.run.journal import Journal
from trainer.run.ranks.agreement import Facts, code_version
from trainer.run.ranks.distributed import Processes, from_all, from_first
from trainer.run.resuming.kept import keep
from trainer.run.resuming.settings import unchanged

OF_A_PROCESS = ("workers", "initial")
"""Settings that may differ between the processes of a run: who reads clips, and where a node has the weights to begin
with."""

RUNNING = "fine-tuning"
"""Kind of the checkpoints."""


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

    def alike(self) -> "Best":
        """As the first process knows it, so that all of them stop after the same step."""
        self.score, self.since = from_first((self.score, self.since))
        return self


@dataclass
class Running:
    """A run in progress. Without a `folder` nothing is written."""

    name: str = "train"
    folder: Path | None = None
    data: str = ""
    """A fingerprint of what is learnt from: sounds and labels."""
    best: Best = field(default_factory=Best)
    skipped: dict[str, str] = field(default_factory=dict)
    """Clips that could not be learnt from when their turn came, and why."""

    @property
    def file(self) -> Path | None:
        return self.folder / f"{self.name}.running.pt" if self.folder else None

    def go_on(self, engine: Engine, config: FinetuneConfig, categories: Sequence[str]) -> Facts:
        """Takes over what a run that was stopped has left, if one has. Returns what must be the same on all processes.

        Raises WrongUse where that was another run, naming what differs.
        """
        step = "none, a new run"
        if self.file is not None and self.file.is_file():
            saved = load_checkpoint(self.file, RUNNING)
            remedy = f"give another --out, or delete {self.file} to begin anew"
            unchanged(saved["config"], asdict(config), self.file, MAY_CHANGE, remedy)
            if (saved["categories"], saved["data"]) != (list(categories), self.data):
                raise WrongUse(f"{self.file}: was begun with other data; {remedy}")
            engine.go_on(saved)
            self.best = Best(**saved["best"])
            self.skipped = dict(saved["skipped"])
            step = str(engine.done)
        settings = {key: str(value) for key, value in asdict(config).items() if key not in OF_A_PROCESS}
        return {
            "checkpoint": {"step": step},
            "setting": settings,
            "data": {"clips": self.data[:12]},
            "code": {"version": code_version()},
        }

    def open_journal(self, done: int, steps: int) -> Journal | None:
        """For a run that is kept on disk."""
        return Journal(self.folder / "journal" / self.name, done, steps, speaks=False) if self.folder else None

    def say(self, sentence: str, processes: Processes) -> None:
        """One line for people, by the first process."""
        if processes.first:
            print(f"{self.name}: {sentence}", file=sys.stderr, flush=True)

    def note(self, skipped: Mapping[str, str]) -> None:
        """What could not be learnt from; each is named once."""
        for name, reason in skipped.items():
            if name not in self.skipped:
                self.skipped[name] = reason
                print(f"warning: {self.name}: {name}: {reason}; the next clip stands in", file=sys.stderr, flush=True)

    def put_together(self) -> None:
        """What any process could not learn from, on all of them."""
        for skipped in from_all(self.skipped):
            self.skipped = {**skipped, **self.skipped}

    def save(
        self, engine: Engine, config: FinetuneConfig, categories: Sequence[str], epoch_steps: int, processes: Processes
    ) -> None:
        """What a run needs to go on, where it is due; the first process writes it.

        Raises AsitEdgeError where the disk is full.
        """
        done = engine.done
        kept = config.keep_every and done % (config.keep_every * epoch_steps) == 0
        if self.file is None or not (kept or due(done, config.save_every, config.steps)):
            return
        self.put_together()
        if not processes.first:
            return
        content: dict[str, Any] = {
            "config": asdict(config),
            "categories": list(categories),
            "data": self.data,
            **engine.state(),
            "best": vars(self.best),
            "skipped": self.skipped,
        }
        save_checkpoint(self.file, RUNNING, content)
        if kept:
            keep(self.file, f"{self.name}-epoch-{done // epoch_steps:04d}")

    def close(self) -> None:
        """The run has its checkpoint; what it needed to go on is no more."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)
