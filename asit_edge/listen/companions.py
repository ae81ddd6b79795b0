"""What runs beside the listening, if the configuration wants it: each looks on, and none is in the way."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.observe.observer import Observer
from asit_edge.observe.observers import Observers

if TYPE_CHECKING:
    from asit_edge.metrics.metrics import Metrics


class Companion(Protocol):
    """Something that lives as long as the listening does."""

    @property
    def observer(self) -> Observer: ...

    def start(self) -> None:
        """The announcer is ready; nothing was heard yet. Returns at once."""
        ...

    def stop(self, seconds: float) -> None:
        """Nothing comes any more: finishes what it was at, within so many seconds."""
        ...


class Companions:
    """All of them, in the order in which they look on."""

    def __init__(self, companions: Sequence[Companion] = (), metrics: "Metrics | None" = None) -> None:
        """`metrics` is the one of them that wants to know how the loop and the outputs are doing."""
        self._companions, self._metrics = companions, metrics
        self.observer: Observer = Observers([one.observer for one in companions])

    def start(self) -> None:
        for one in self._companions:
            one.start()

    def beat(self, progress: Mapping[str, int]) -> None:
        """The listening loop has made a round; `progress` as `ListeningLoop.progress` has it."""
        if self._metrics:
            self._metrics.beat(progress)

    def side_output(self, name: str, dropped: Callable[[], int]) -> None:
        """`dropped` says how many things a bounded queue beside the listening had no room for."""
        if self._metrics:
            self._metrics.side_output(name, dropped)

    def stop(self, seconds: float) -> None:
        for one in self._companions:
            one.stop(seconds)


def open_companions(config: Config, model: Model, delivery: Delivery) -> Companions:
    """Those that the configuration asks for. Raises WrongUse where one cannot be as it says."""
    companions: list[Companion] = []
    if config.clips.enabled:
        from asit_edge.clips.opening import open_clips

        companions.append(open_clips(config, model.manifest, delivery.clip, delivery.tells))
    if not config.web.enabled:
        return Companions(companions)
    from asit_edge.clips.shelf import ClipShelf
    from asit_edge.metrics.metrics import Metrics  # loads the client of Prometheus; the page serves what it counts
    from asit_edge.web.page import Page

    metrics = Metrics(config, model, delivery)
    page = Page(config, model, delivery.commands, delivery.health)
    page.exposition, page.health = metrics.exposition, metrics.health
    if config.clips.enabled:
        page.shelf = ClipShelf(config.clips.effective_folder)
    delivery.tells(lambda: page.problem)
    return Companions([*companions, metrics, page], metrics)
