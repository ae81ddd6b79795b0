"""The page as a companion of the listening: opened with it, served from its own thread, gone with it."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from asit_edge.assembly import Model
from asit_edge.config.root import Config
from asit_edge.live.hub import Hub
from asit_edge.messages.report import Health
from asit_edge.observe.observer import Observer
from asit_edge.web.guards.access import Access, read_token
from asit_edge.web.guards.hosts import Hosts
from asit_edge.web.server import Served, Server

if TYPE_CHECKING:
    import queue
    from typing import Any

    from asit_edge.mqtt.commands import Command
    from asit_edge.web.parts import Shelf

log = logging.getLogger(__name__)


class Page:
    """Of one listener. What others bring (clips, metrics) is given to it before it starts."""

    def __init__(
        self,
        config: Config,
        model: Model,
        commands: "queue.SimpleQueue[Command]",
        delivery: Callable[[], Health],
        hub: Hub | None = None,
    ) -> None:
        """`delivery` says how store and sinks are; `hub` is what another page knew, in whose place this one comes.

        Raises WrongUse where others could look without a token.
        """
        self.hub = hub or Hub(config, model.manifest)
        self.shelf: Shelf | None = None
        self.exposition: Callable[[], bytes] | None = None
        self.health: Callable[[], tuple[bool, dict[str, Any]]] | None = None
        self._config, self._model, self._commands, self._delivery = config, model, commands, delivery
        self._access = Access(read_token(config.web))
        self.problem = ""
        """Why nobody can look at the moment, in words for the user."""
        self._server = Server(config.web.host, config.web.port, self._make, self.hub.begun, self._tell)

    @property
    def observer(self) -> Observer:
        return self.hub

    def _tell(self, problem: str) -> None:
        self.problem = problem

    def start(self) -> None:
        self._server.start()

    def stop(self, seconds: float) -> None:
        self._server.stop(seconds)

    def _make(self) -> Served:
        """In the server's thread: loads what serves."""
        from asit_edge.web.app import make_app
        from asit_edge.web.parts import Parts
        from asit_edge.web.stream import Live

        web = self._config.web
        parts = Parts(
            hub=self.hub,
            access=self._access,
            hosts=Hosts(web.host, web.names),
            store=self._config.store.effective_path,
            commands=self._commands,
            about=self._about(),
            cookie=f"asit_edge_{web.port}",
            ingress=web.ingress,
            delivery=self._delivery,
            amend=self._amend if self._model.vocabulary is not None else None,
            shelf=self.shelf,
            exposition=self.exposition,
            health=self.health,
        )
        live = Live(parts)
        return Served(make_app(parts, live), live.close)

    def _about(self) -> "dict[str, Any]":
        from asit_edge.web.state import versions

        remembers = self._config.teach.remember_hours > 0 and self._model.vocabulary is not None
        return {"versions": versions(), "remembers": remembers}

    def _amend(self, label: str, kind: str, what: str, begin: float, end: float, source: str | None) -> str:
        from asit_edge.model.bundle import find_bundle, load_bundle
        from asit_edge.teach.lessons.amending import amend

        bundle = load_bundle(find_bundle(self._config.model))
        done = amend(bundle, label, "wrong" if kind == "wrong" else "missed", what, begin, end, source)
        if done.heard is not None:
            return f"{done.name!r} is corrected: {done.heard} of {done.takes} takes are found by the others."
        return f"{done.name!r} is corrected. It can be taken back: asit-edge taught remove {done.name!r}"
