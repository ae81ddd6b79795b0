"""What Home Assistant is told of a device, from its start on: announcements, changes, and the move to another layout.

A move from messages of single entities to one message a device (or back) is Home Assistant's own procedure: the old
topics ask it to let go, then the new ones announce the same entities, then the old ones are emptied. Names, areas and
history of entities stay with them.

Who uses it brings the time, and sends.
"""

import json
import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from asit_edge.config.root import Config
from asit_edge.deliver.reported import Reported
from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import tighten, write_whole
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.discovery import MIGRATE, Components, Home, announced, discovery, of_other_layout
from asit_edge.mqtt.entities import SourceFacts
from asit_edge.mqtt.topics import Topics

log = logging.getLogger(__name__)

BIRTH_DELAY = 2.0
"""Home Assistant has just started: devices answer within this time, not all at once."""

LET_GO_SECONDS = 10.0
"""Home Assistant unloads hundreds of entities in less; entities that are announced before are ignored."""


class HomeAssistant:
    """Of one device at one broker."""

    def __init__(
        self,
        config: Config,
        topics: Topics,
        model: str,
        kept: Collection[str],
        file: Path,
        said: Mapping[str, str] | None = None,
    ) -> None:
        """`model` names what listens; `kept` are the topics that the broker keeps of this device; `file` is where it is
        noted what has been announced; `said` is what this run announced by another configuration, by topic.
        `home_assistant.discovery` must not be false."""
        assert config.home_assistant.discovery
        settings = config.home_assistant
        self.birth_topic = f"{settings.prefix}/status"
        self._home = Home(settings.prefix, config.home_assistant.discovery, model, config.web.address)
        self._topics = topics
        self._kinds = {source.name: source.type for source in config.sources}
        self._clips, self._pictures = config.clips.enabled, settings.pictures
        self._file = file
        self._noted = self._gone = _read(file)
        """What earlier runs, or this one, announced and what is announced no more."""
        self._moving = of_other_layout(self._home, topics, kept)
        self._asked_at: float | None = None
        self._asked = False
        self._said: Mapping[str, str] = dict(said or {})
        self._lock = threading.Lock()

    def born(self, message: Message, answer: Callable[[], None]) -> None:
        """A message on `birth_topic` has come: `answer` is called if Home Assistant has just started."""
        if message.payload == b"online" and not message.retained:
            timer = threading.Timer(random.uniform(0, BIRTH_DELAY), answer)
            timer.daemon = True
            timer.start()

    @property
    def said(self) -> Mapping[str, str]:
        """What is announced, by topic."""
        return self._said

    def know(self, known: Reported) -> dict[str, str]:
        """What is to be said, by topic, at the start and when other labels are known; nothing more while entities move:
        it comes behind."""
        with self._lock:
            if not self._moving:
                return self._changes(known)
            if self._asked:
                return {}
            self._asked = True
            log.info(
                "Home Assistant: %d topics of discovery move to the layout %r; entities are back within %.0f s",
                *(len(self._moving), self._home.layout, LET_GO_SECONDS),
            )
            return dict.fromkeys(self._moving, MIGRATE)

    def moved(self, known: Reported, connected: bool, now: float) -> tuple[dict[str, str], set[str]]:
        """What is to be said after a move, and the topics to be emptied behind it; told once, when it is time to."""
        with self._lock:
            if not self._moving or not connected:
                self._asked_at = None
                return {}, set()
            self._asked_at = now if self._asked_at is None else self._asked_at
            if now - self._asked_at < LET_GO_SECONDS:
                return {}, set()
            old, self._moving = set(self._moving), []
            return self._changes(known), old

    def _changes(self, known: Reported) -> dict[str, str]:
        sources = {source: self._facts(source, known) for source in known.thresholds}
        now = announced(self._home, self._topics, sources)
        gone = {
            topic: {key: platform for key, platform in components.items() if key not in now.get(topic, {})}
            for topic, components in self._gone.items()
        }
        messages = discovery(self._home, self._topics, sources, gone)
        changed = {topic: "" for topic in self._said if topic not in messages}
        changed |= {topic: payload for topic, payload in messages.items() if self._said.get(topic) != payload}
        self._said = messages
        self._gone = {topic: gone.get(topic, {}) | components for topic, components in now.items()}
        if now != self._noted:
            _write(self._file, now)
            self._noted = now
        return changed

    def _facts(self, source: str, known: Reported) -> SourceFacts:
        labels = {label: known.names[label] for label in known.thresholds[source]}
        return SourceFacts(self._kinds[source], labels, known.chosen[source], self._clips, self._pictures)


def _read(file: Path) -> Components:
    """What was announced; nothing where that is not known."""
    tighten(file)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(topic): {str(key): str(one) for key, one in parts.items()} for topic, parts in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError):
        log.warning("%s: cannot be read; entities that are gone since the last run stay in Home Assistant", file)
        return {}


def _write(file: Path, components: Components) -> None:
    try:
        write_whole(file, json.dumps(components).encode())
    except AsitEdgeError as error:
        log.warning("%s; entities that go before the next run stay in Home Assistant", error)
