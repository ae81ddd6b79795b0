"""A real listener with metrics, which a test may look at while it listens: sources, store, broker and all."""

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.listen import run
from asit_edge.listen.companions import Companions
from asit_edge.metrics.metrics import Metrics
from tests.integration.mosquitto import wait_for


@contextmanager
def listening(config: dict[str, Any]) -> Iterator[Metrics]:
    """Listens in a thread of its own until the block is left."""
    opened: list[Metrics] = []
    stopping = threading.Event()
    problems: list[Exception] = []

    def companions(settings: Config, model: Model, delivery: Delivery) -> Companions:
        opened.append(Metrics(settings, model, delivery))
        return Companions(opened, opened[0])

    def listen() -> None:
        try:
            run.listen(Config.model_validate(config), io.StringIO(), stopping.is_set, time.sleep)
        except Exception as error:
            problems.append(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "open_companions", companions)
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            wait_for(lambda: opened or not thread.is_alive(), 60, "the listener starts")
            assert not problems
            yield opened[0]
        finally:
            stopping.set()
            thread.join(timeout=30)
    assert not thread.is_alive()
    assert not problems


Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(exposition: bytes) -> dict[Sample, float]:
    """Every sample by its name and labels, as Prometheus' own client reads them."""
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(exposition.decode())
        for one in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """Of one sample, now; 0 if there is none."""
    return samples(metrics.exposition()).get((name, tuple(sorted(labels.items()))), 0.0)
