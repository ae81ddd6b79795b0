"""MQTT topics and Home Assistant's ids. Pure.

Names of devices and sources are letters, digits, `_` and `-` (the configuration sees to that); labels are anything and
become slugs. Two different things never share a topic or an id, and the same thing keeps its own over restarts.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from asit_edge.labels import Label, slug


def label_slugs(labels: Sequence[Label]) -> dict[str, str]:
    """What stands for each label (by its id) in topics: its slug, with a digest of its id where slugs coincide."""
    counts = Counter(slug(label.name) for label in labels)
    return {
        label.id: slug(label.name)
        if counts[slug(label.name)] == 1
        else f"{slug(label.name)}_{hashlib.sha256(label.id.encode()).hexdigest()[:8]}"
        for label in labels
    }


NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Of a device or a source."""


@dataclass(frozen=True)
class Topics:
    """The topics of one device."""

    prefix: str
    device: str

    @property
    def root(self) -> str:
        return f"{self.prefix}/{self.device}"

    @property
    def available(self) -> str:
        return f"{self.root}/available"

    @property
    def health(self) -> str:
        return f"{self.root}/health"

    @property
    def identity(self) -> str:
        return f"{self.root}/identity"

    @property
    def configured(self) -> str:
        return f"{self.root}/configured"

    def event(self, source: str) -> str:
        return f"{self.root}/{source}/event"

    def gap(self, source: str) -> str:
        return f"{self.root}/{source}/gap"

    def clip(self, source: str) -> str:
        return f"{self.root}/{source}/clip"

    def last(self, source: str) -> str:
        return f"{self.root}/{source}/last"

    def picture(self, source: str) -> str:
        return f"{self.root}/{source}/picture"

    def level(self, source: str) -> str:
        return f"{self.root}/{source}/level"

    def status(self, source: str) -> str:
        return f"{self.root}/{source}/status"

    def error(self, source: str) -> str:
        return f"{self.root}/{source}/error"

    def sound(self, source: str, label: str) -> str:
        """`label` is a slug, as everywhere here."""
        return f"{self.root}/{source}/sound/{label}"

    def threshold(self, source: str, label: str) -> str:
        return f"{self.root}/{source}/threshold/{label}"

    def adjusted(self, source: str) -> str:
        return f"{self.root}/{source}/adjusted"

    def kept_of(self, source: str) -> tuple[str, ...]:
        """What a broker keeps of a source, beside what is of its labels."""
        return (self.status(source), self.adjusted(source), self.last(source), self.picture(source))

    def command(self, source: str, name: str) -> str:
        """`name` is `listen`, `snooze`, `wrong`, or `threshold`, `report`, `snooze` or `missed` with `/<label>`."""
        return f"{self.root}/{source}/set/{name}"

    @property
    def commands(self) -> str:
        """The filter under which every command of this device arrives."""
        return f"{self.root}/+/set/#"

    def parse_command(self, topic: str) -> tuple[str, str] | None:
        """Source and name of a command's topic; None if it is not one, or of what can be no source's name."""
        if not topic.startswith(f"{self.root}/"):
            return None
        source, slash, name = topic[len(self.root) + 1 :].partition("/set/")
        return (source, name) if slash and NAME.fullmatch(source) and name else None


BOX, SOURCE = "-box", "-source-"
"""Behind the name of a device, and between it and that of a source."""


def _doubled(name: str) -> str:
    return name.replace("-", "--")


@dataclass(frozen=True)
class HomeAssistantIds:
    """Ids of one device's entities. A component is `<kind>-<slug>-<source>`: neither kind nor slug has a `-`."""

    device: str

    @property
    def identifier(self) -> str:
        return f"asit_edge_{self.device}"

    def source_identifier(self, source: str) -> str:
        """Of the device that a source is; no name has a `/`."""
        return f"{self.identifier}/{source}"

    def device_topic(self, prefix: str, source: str = "") -> str:
        """Where the box, or a source of it, is announced as a whole.

        Home Assistant tells messages of devices and of entities apart by what is before `config`, and cleans up behind
        one of a device by it: so there is one part only, and never an entity's `identifier`. A `-` in a name is
        doubled, so that no two devices and sources have one topic.
        """
        return f"{prefix}/device/{self._object}{SOURCE + _doubled(source) if source else BOX}/config"

    def owns(self, topic: str) -> bool:
        """Whether a topic of discovery is this device's, or one of its sources'."""
        *_, kind, node, last, config = ("", "", *topic.split("/"))
        if config != "config":
            return False
        if node == "device":
            return last == f"{self._object}{BOX}" or last.startswith(f"{self._object}{SOURCE}")
        return bool(kind) and node == self.identifier

    @property
    def _object(self) -> str:
        return f"asit_edge_{_doubled(self.device)}"

    def component(self, kind: str, source: str, label: str = "") -> str:
        return "-".join(part for part in (kind, label, source) if part)

    def unique_id(self, component: str) -> str:
        return f"asit_edge-{component}@{self.device}"

    def entity_id(self, platform: str, *parts: str) -> str:
        """The entity id that Home Assistant takes for a new entity if it is free."""
        name = "_".join(part for part in (self.device, *parts) if part)
        return f"{platform}.{re.sub(r'[^a-z0-9_]+', '_', name.lower())}"
