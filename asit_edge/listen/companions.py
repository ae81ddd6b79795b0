"""What runs beside the listening, if the configuration wants it: each looks on, and none is in the way."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.observe.observer import Observer
from asit_edge.observe.observers import Observers


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

    def __init__(self, companions: Sequence[Companion] = ()) -> None:
        self._companions = companions
        self.observer: Observer = Observers([one.observer for one in companions])

    def start(self) -> None:
        for one in self._companions:
            one.start()

    def stop(self, seconds: float) -> None:
        for one in self._companions:
            one.stop(seconds)


def open_companions(config: Config, model: Model, delivery: Delivery) -> Companions:
    """Those that the configuration asks for. Raises WrongUse where one cannot be as it says."""
    companions: list[Companion] = []
    if config.web.enabled:
        from asit_edge.web.page import Page

        tell = partial(delivery.beside.__setitem__, "web")
        companions.append(Page(config, model, delivery.commands, delivery.health, tell))
    return Companions(companions)
