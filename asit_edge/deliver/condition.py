"""How delivery stands: what is wrong with the store, the broker, the sinks and what runs beside, in words."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from asit_edge.deliver.namesakes import Namesakes
from asit_edge.deliver.sinks.base import MQTT
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.messages.report import Health
from asit_edge.model.backends.serving import Serving
from asit_edge.store.store import Store


class Standing(NamedTuple):
    """How delivery stands."""

    problems: dict[str, str]
    """By part: `store`, `device` (its name) or a sink's name; in words for the user, "" where nothing is wrong."""
    waiting: dict[str, int]
    """Messages by the sink that has not taken them."""
    dropped: int
    refused: int


class Condition(NamedTuple):
    """The parts, as they are at the moment."""

    store: Store
    sinks: Sequence[str]
    broker: MqttSink | None
    namesakes: Namesakes | None
    workers: Sequence[Worker]
    others: Sequence[Callable[[], str | None]]
    """What runs beside, and has a word in it."""

    @property
    def standing(self) -> Standing:
        """How each part is doing. Waits for the store's disk."""
        problems = {"store": self.store.problem or "", "device": self._namesake}
        if self.broker:
            problems[MQTT] = self.broker.problem or self.broker.refusal
        problems |= {worker.name: worker.problem or "" for worker in self.workers}
        problems |= {"beside": "; ".join(words for problem in self.others if (words := problem()))}
        waiting = {sink: self.store.count_waiting(sink) for sink in self.sinks}
        return Standing(problems, waiting, self.store.dropped, self.store.refused)

    def health(self, device: str, serving: Serving) -> Health:
        """What `health` says; whether there is a broker is seen elsewhere."""
        denied = self.broker.refusal if self.broker else None
        others = [problem() for problem in self.others]
        problems = [self.store.problem, denied, self._namesake, *(worker.problem for worker in self.workers), *others]
        return Health(
            schema=1,
            device=device,
            problem="; ".join(problem for problem in problems if problem),
            dropped=self.store.dropped,
            refused=self.store.refused,
            **(vars(serving.now) if serving.now else {}),
        )

    @property
    def undelivered(self) -> str | None:
        """Why something may wait for its delivery; None where nothing is known that speaks against it."""
        problems = [self.store.problem, self.broker.problem if self.broker else None]
        return next((one for one in [*problems, *(worker.problem for worker in self.workers)] if one), None)

    @property
    def _namesake(self) -> str:
        return self.namesakes.problem(time.monotonic()) if self.namesakes else ""
