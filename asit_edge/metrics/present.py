"""What is not counted but looked up when somebody asks: states, levels, queues, the model, the machine."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from asit_edge.deliver.delivery import Standing
from asit_edge.messages.report import Level, State, Status
from asit_edge.metrics import names
from asit_edge.metrics.names import Name
from asit_edge.metrics.thermal import temperatures

STATES: tuple[str, ...] = get_args(State)


class Snapshot(NamedTuple):
    """A listener at one moment."""

    problems: Sequence[str]
    """All that is wrong, in words for the user."""
    statuses: Mapping[str, Status | None]
    """Of every source; None before the first."""
    levels: Sequence[Level]
    """Of the sources that are heard."""
    since_round: float | None
    """Seconds since the loop's last round; None before the first."""
    standing: Standing | None
    """How delivery stood when it was last asked; None before the first answer."""
    side_dropped: Mapping[str, int]
    device: Mapping[str, str]
    model: Mapping[str, str]


class Present(Collector):
    """Gives a snapshot out as metrics. What is not known is left out."""

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look

    def collect(self) -> Iterable[Metric]:
        now = self._look()
        yield _gauge(names.HEALTHY, [((), float(not now.problems))])
        yield _gauge(
            names.STATE,
            [
                ((source, state), float(state == state_of(status)))
                for source, status in now.statuses.items()
                for state in STATES
            ],
        )
        yield _gauge(names.LEVEL, [((level.source,), level.dbfs) for level in now.levels])
        yield _gauge(names.PEAK, [((level.source,), level.peak_dbfs) for level in now.levels])
        if now.since_round is not None:
            yield _gauge(names.ROUND, [((), now.since_round)])
        if now.standing:
            yield from _delivery(now.standing)
        side = CounterMetricFamily(names.SIDE_DROPPED.name, names.SIDE_DROPPED.help, labels=names.SIDE_DROPPED.labels)
        for output, dropped in now.side_dropped.items():
            side.add_metric([output], dropped)
        yield side
        yield InfoMetricFamily(names.DEVICE.name, names.DEVICE.help, dict(now.device))
        yield InfoMetricFamily(names.MODEL.name, names.MODEL.help, dict(now.model))
        yield _gauge(names.TEMPERATURE, [((zone,), degrees) for zone, degrees in temperatures().items()])


def state_of(status: Status | None) -> str:
    """What a source is doing; before its first status it is about to be opened."""
    return status.state if status else "starting"


def _delivery(standing: Standing) -> Iterable[Metric]:
    yield _gauge(names.PART_OK, [((part,), float(not wrong)) for part, wrong in standing.problems.items()])
    yield _gauge(names.QUEUE, [((sink,), float(count)) for sink, count in standing.waiting.items()])
    yield CounterMetricFamily(names.DROPPED.name, names.DROPPED.help, standing.dropped)
    yield _gauge(names.REFUSED, [((), float(standing.refused))])


def _gauge(what: Name, values: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(what.name, what.help, labels=what.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family
