"""A listener's metrics as something that lives beside it: counted, looked up, and given out when they are asked for."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from asit_edge import __version__
from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery, Standing
from asit_edge.metrics import health
from asit_edge.metrics.present import Present, Snapshot, state_of
from asit_edge.metrics.tallies import Tallies

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of what `Metrics.exposition` returns."""

LOOK_SECONDS = 2.0
"""Between looks at the store, whose disk may be slow: whoever asks for metrics does not wait for it."""

LEVEL_SECONDS = 5.0
"""A level that is older says nothing: the source is not heard any more."""


class Metrics:
    """Of one listener. `exposition` and `health` may be called in any thread, and wait for no disk and no network."""

    def __init__(self, config: Config, model: Model, delivery: Delivery) -> None:
        self._config, self._model, self._delivery = config, model, delivery
        registry = CollectorRegistry()
        self.observer = Tallies(registry, [source.name for source in config.sources], model.manifest)
        registry.register(Present(self._snapshot))
        ProcessCollector(registry=registry)
        self._registry = registry
        self._rounds = health.Rounds()
        self._side_outputs: dict[str, Callable[[], int]] = {}
        self._standing: Standing | None = None
        self._asked_at: float | None = None
        """Since when delivery has been asked how it stands (monotonic); None while it is not."""
        delivery.on_acknowledged = self.observer.acknowledged
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="metrics", daemon=True)

    def start(self) -> None:
        """Begins to look at the store now and then."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=seconds)

    def beat(self, progress: Mapping[str, int]) -> None:
        """The listening loop has made a round; `progress` as `ListeningLoop.progress` has it."""
        self._rounds.beat(progress, time.monotonic())

    def side_output(self, name: str, dropped: Callable[[], int]) -> None:
        """`dropped` says how many things a bounded queue beside the listening had no room for since the start."""
        self._side_outputs = {**self._side_outputs, name: dropped}

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, as `CONTENT_TYPE` says."""
        return generate_latest(self._registry)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether nothing is wrong, and what is, for `/healthz`: JSON's types only."""
        now = self._snapshot()
        standing = now.standing or Standing({}, {}, 0, 0)
        return not now.problems, {
            "healthy": not now.problems,
            "problems": list(now.problems),
            **now.device,
            "model": dict(now.model),
            "sources": {
                name: {"state": state_of(status), "detail": status.detail if status else ""}
                for name, status in now.statuses.items()
            },
            "delivery": dict(standing.problems),
            "waiting": dict(standing.waiting),
            "dropped": standing.dropped,
            "refused": standing.refused,
        }

    def _snapshot(self) -> Snapshot:
        now, asked_at, last = time.monotonic(), self._asked_at, self._rounds.last
        unanswered = 0.0 if asked_at is None else now - asked_at
        statuses, manifest = self.observer.statuses, self._model.bundle.manifest
        serving = self._model.serving()._asdict() if self._model.serving else {}
        return Snapshot(
            problems=health.problems(statuses, self._rounds, self._standing, unanswered, now),
            statuses=statuses,
            levels=[one for at, one in filter(None, self.observer.levels.values()) if now - at < LEVEL_SECONDS],
            since_round=None if last is None else now - last,
            standing=self._standing,
            side_dropped={name: dropped() for name, dropped in self._side_outputs.items()},
            device={"device": self._config.device_name, "version": __version__},
            model={"model": manifest.name, "version": manifest.version, **serving},
        )

    def _look(self) -> None:
        while not self._stopping.is_set():
            self._asked_at = time.monotonic()
            self._standing = self._delivery.standing()
            self._asked_at = None
            self._stopping.wait(LOOK_SECONDS)
