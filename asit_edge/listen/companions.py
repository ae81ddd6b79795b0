"""What runs beside the listening, if the configuration wants it: each looks on, and none is in the way."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.deliver.delivery import Delivery
from asit_edge.host.errands import Errands
from asit_edge.observe.observer import Observer
from asit_edge.observe.observers import Observers

if TYPE_CHECKING:
    from asit_edge.clips.recorder import Recorder
    from asit_edge.metrics.metrics import Metrics
    from asit_edge.web.page import Page

LET_GO = 5.0
"""Seconds that what is replaced has for its end, before what takes its place begins."""


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


class Replaced(NamedTuple):
    """One that takes the place of another; None: there was, or is to be, nothing."""

    old: Companion | None
    new: Companion | None


Reopen = Callable[[Config], tuple[list[Replaced], Callable[[], None]]]
"""What is opened anew for another configuration, and what to call once that is in force. Raises WrongUse."""


class Companions:
    """All of them, in the order in which they look on."""

    def __init__(
        self,
        companions: Sequence[Companion] = (),
        metrics: "Metrics | None" = None,
        reopen: Reopen = lambda config: ([], lambda: None),
    ) -> None:
        """`metrics` is the one of them that wants to know how the loop and the outputs are doing."""
        self._companions, self._metrics, self._reopen = list(companions), metrics, reopen
        self._observers = Observers([one.observer for one in companions])
        self.observer: Observer = self._observers
        self._changes: Errands | None = None

    def start(self) -> None:
        for one in self._companions:
            one.start()

    def prepare(self, config: Config) -> Callable[[], None]:
        """Opens what another configuration needs; what is returned puts it in its place, and waits for nothing.

        Raises WrongUse where one cannot be as it says: then nothing has changed.
        """
        replaced, done = self._reopen(config)
        return partial(self._change, replaced, done)

    def _change(self, replaced: list[Replaced], done: Callable[[], None]) -> None:
        done()
        for old, new in replaced:
            self._companions = [one for one in self._companions if one is not old] + ([new] if new else [])
            # The page's picture outlasts it.
            if old is None or new is None or old.observer is not new.observer:
                self._observers.replace(old.observer if old else None, new.observer if new else None)
            self._changes = self._changes or Errands("changes beside", 100, "what is closed hangs")
            self._changes.do(partial(_exchange, old, new))

    def beat(self, progress: Mapping[str, int]) -> None:
        """The listening loop has made a round; `progress` as `ListeningLoop.progress` has it."""
        if self._metrics:
            self._metrics.beat(progress)

    def side_output(self, name: str, dropped: Callable[[], int]) -> None:
        """`dropped` says how many things a bounded queue beside the listening had no room for."""
        if self._metrics:
            self._metrics.side_output(name, dropped)

    def stop(self, seconds: float) -> None:
        if self._changes:
            self._changes.stop(seconds)
        for one in self._companions:
            one.stop(seconds)


def _exchange(old: Companion | None, new: Companion | None) -> None:
    """A port that the old one has is free before the new one wants it."""
    if old:
        old.stop(LET_GO)
    if new:
        new.start()


class _Beside:
    """Those of one listener, as its configuration wants them at the moment."""

    def __init__(self, config: Config, model: Model, delivery: Delivery) -> None:
        """Raises WrongUse where one cannot be as it says."""
        self._config, self._model, self._delivery = config, model, delivery
        self._clips = self._open_clips(config)
        self._page: Page | None = None
        self._metrics = _open_metrics(config, model, delivery) if config.web.enabled else None
        if config.web.enabled:
            self._page = self._open_page(config)
        delivery.tells(self._problem)

    def companions(self) -> Companions:
        found: list[Companion | None] = [self._clips, self._metrics, self._page]
        return Companions([one for one in found if one], self._metrics, self.reopen)

    def reopen(self, config: Config) -> tuple[list[Replaced], Callable[[], None]]:
        """Raises WrongUse where one cannot be as it says; nothing has changed before the second is called."""
        before, clips, page = self._config, self._clips, self._page
        if before.clips != config.clips:
            clips = self._open_clips(config)
        if page and (before.web != config.web or before.clips != config.clips):
            page = self._open_page(config)
        pairs = [Replaced(self._clips, clips), Replaced(self._page, page)]

        def done() -> None:
            self._config, self._clips, self._page = config, clips, page

        return [one for one in pairs if one.old is not one.new], done

    def _open_clips(self, config: Config) -> "Recorder | None":
        if not config.clips.enabled:
            return None
        from asit_edge.clips.opening import open_clips

        return open_clips(config, self._model.manifest, self._delivery.clip)

    def _open_page(self, config: Config) -> "Page":
        """Another one goes on with what the one before knows."""
        from asit_edge.clips.shelf import ClipShelf
        from asit_edge.web.page import Page

        page = Page(
            config, self._model, self._delivery.commands, self._delivery.health, self._page.hub if self._page else None
        )
        if self._metrics:
            page.exposition, page.health = self._metrics.exposition, self._metrics.health
        if config.clips.enabled:
            page.shelf = ClipShelf(config.clips.effective_folder)
        return page

    def _problem(self) -> str:
        problems = [self._clips.problem if self._clips else None, self._page.problem if self._page else None]
        return "; ".join(one for one in problems if one)


def _open_metrics(config: Config, model: Model, delivery: Delivery) -> "Metrics":
    from asit_edge.metrics.metrics import Metrics  # loads the client of Prometheus; the page serves what it counts

    return Metrics(config, model, delivery)


def open_companions(config: Config, model: Model, delivery: Delivery) -> Companions:
    """Those that the configuration asks for. Raises WrongUse where one cannot be as it says."""
    return _Beside(config, model, delivery).companions()
