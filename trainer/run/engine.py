"""The engine of a training run: what an optimiser step does, and which steps are reported, validated and saved.

The loops of fine-tuning and distillation are made of these parts; pre-training has a readable loop of its own on some
of them. What a batch is, and what its loss, is the loops' business.
"""

import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from asit_edge.errors import AsitEdgeError
from trainer.run.average import Weights, copied, follow
from trainer.run.optimisation import Optimiser, set_rates
from trainer.run.ranks.distributed import mean_over_processes, overwrite_by_first

LINE_EVERY = 100
"""Steps between lines in a log."""


def is_finite(*values: float) -> bool:
    return math.isfinite(sum(values))


def due(done: int, every: int, steps: int) -> bool:
    """Whether something that happens every so many steps, and at the end, happens after `done` of `steps` steps."""
    return done % every == 0 or done == steps


@dataclass
class Engine:
    """A run in progress: what is trained, its optimiser, the average of the weights, and how many steps are done."""

    network: nn.Module
    """What is averaged, evaluated and saved."""
    trained: nn.Module
    """What is optimised: the network and whatever learns beside it."""
    optimiser: Optimiser
    clip_norm: float
    average: Weights
    done: int = 0
    loss: float = float("nan")
    """Of the last step, the mean over all processes."""

    @staticmethod
    def alone(network: nn.Module, optimiser: Optimiser, clip_norm: float) -> "Engine":
        """A run that begins now, of a network with nothing beside it."""
        return Engine(network, network, optimiser, clip_norm, copied(network))

    def state(self) -> dict[str, Any]:
        """What the run needs to go on, and the average as `model`, for a checkpoint."""
        return {
            "model": self.average,
            "raw": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.done,
        }

    def go_on(self, saved: Mapping[str, Any]) -> None:
        """Takes over what `state` gave when that was saved."""
        self.network.load_state_dict(saved["raw"])
        for name, value in self.average.items():
            value.copy_(saved["model"][name])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.done = int(saved["step"])

    def agree(self, device: torch.device) -> None:
        """Gives all processes what the first one has: weights, average, the optimiser's state."""
        states = (self.optimiser.state_dict(), self.average, self.trained.state_dict())
        overwrite_by_first((tensor for state in states for tensor in tensors_in(state)), device)

    def step(self, loss: Tensor, learning_rate: float, weight_decay: float, share: float) -> None:
        """One optimiser step down a loss (scalar); then the average moves by `share` towards the new weights.

        Raises AsitEdgeError if the loss is not finite on any process; nothing is changed then.
        """
        self.loss = mean_over_processes(loss.detach()).item()
        if not is_finite(self.loss):
            raise AsitEdgeError(f"the loss is {self.loss} at step {self.done + 1}; try a lower learning rate")
        set_rates(self.optimiser, learning_rate, weight_decay)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.trained.parameters(), self.clip_norm)
        self.optimiser.step()
        if share:
            follow(self.average, self.network, share)
        self.done += 1


def tensors_in(state: Any) -> Iterator[Tensor]:
    """All tensors of a nested state, in one order wherever it has the same keys."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for key in sorted(state, key=str):
            yield from tensors_in(state[key])
    elif isinstance(state, list | tuple):
        for one in state:
            yield from tensors_in(one)


class Progress:
    """How far a run is and what its loss is: a bar in a terminal, a line now and then in a log."""

    def __init__(self, name: str, steps: int, done: int = 0, speaks: bool = True) -> None:
        self._name, self._steps, self._speaks = name, steps, speaks
        self._began = time.monotonic()
        self._smooth: float | None = None
        self._bar = tqdm(total=steps, initial=done, desc=name, disable=not speaks or not sys.stderr.isatty())

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def report(self, done: int, loss: float) -> None:
        """The loss of the step with which `done` are done; what is shown is smoothed."""
        self._smooth = loss if self._smooth is None else 0.98 * self._smooth + 0.02 * loss
        self._bar.set_postfix(loss=f"{self._smooth:.4f}")
        self._bar.update()
        if self._speaks and self._bar.disable and due(done, LINE_EVERY, self._steps):
            seconds = time.monotonic() - self._began
            print(f"{self._name}: step {done}/{self._steps} loss {self._smooth:.4f} {seconds:.0f} s", file=sys.stderr)
