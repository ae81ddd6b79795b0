"""Other devices of the same name, and names that this device had before: what the broker knows of either.

Every listener leaves its identity at the broker, retained, under its name, and reads what lies there. What comes before
its own is history; what comes after its own is from another that listens under the same name now.

What an earlier run left under another name is this device's to remove if it was renamed, and another's if its disk was
copied: it is left alone where somebody is online under that name, or was after our last run.

No thread and no waiting: messages come in, and time as seconds of any clock.
"""

import logging
from collections.abc import Collection

from pydantic import ValidationError

from asit_edge.host.identity import Identity
from asit_edge.messages.report import DeviceIdentity
from asit_edge.mqtt.topics import HomeAssistantIds, Topics

log = logging.getLogger(__name__)

REMEDY = "give one of them another name (device in config.yaml)"

SHOWN_SECONDS = 600.0
"""How long a namesake is told of after it was seen last."""

AGAIN_SECONDS = 30.0
"""Between two times that our own identity is laid over a namesake's, so that it knows of us."""


class Namesakes:
    """Of one device at one broker."""

    def __init__(self, topics: Topics, identity: Identity, kept: Collection[str], host: str, since: str) -> None:
        """`kept` are the topics that earlier runs left at the broker; `since` is ISO 8601."""
        self._topics, self._identity = topics, identity
        self.own = DeviceIdentity(
            schema=1, device=topics.device, identity=identity.id, run=identity.run, host=host, since=since
        ).to_json()
        """What is to be published under our name."""
        self._kept = set() if identity.copied else set(kept)
        self._former = dict.fromkeys(_roots(self._kept) - {topics.root}, False)
        """Where earlier runs published, and whether somebody else does now."""
        self._shown = self._settled = False
        self._met: tuple[float, str] | None = None
        self._logged: set[str] = set()
        self._laid_over_at = float("-inf")

    @property
    def subscriptions(self) -> list[str]:
        """To be read from before our identity is published: what the broker has is history then."""
        former = [Topics(*root.rpartition("/")[::2]) for root in self._former]
        return [self._topics.identity, *(topic for one in former for topic in (one.available, one.identity))]

    def problem(self, now: float) -> str:
        """Who else has our name, and what to do, in words for the user; "" if nobody has."""
        return self._met[1] if self._met and now - self._met[0] < SHOWN_SECONDS else ""

    def take(self, topic: str, payload: bytes, now: float) -> bool:
        """A message has come. True if our identity is to be published again, so that a namesake knows of us."""
        if topic not in self.subscriptions or not payload:
            return False
        root = topic.rpartition("/")[0]
        if topic == Topics(*root.rpartition("/")[::2]).available:
            self._former[root] |= payload == b"online"
            return False
        try:
            other = DeviceIdentity.model_validate_json(payload)
        except ValidationError:
            return False
        if root != self._topics.root:
            self._former[root] |= other.run != self._identity.last_run
            return False
        if other.run == self._identity.run:
            self._shown = True
        if other.run in (self._identity.run, self._identity.last_run):
            return False
        return self._met_other(other, now)

    def _met_other(self, other: DeviceIdentity, now: float) -> bool:
        same = other.identity == self._identity.id
        who = "a copy of this device, or a second listener," if same else "another device"
        name = f"the name {other.device!r}: {who} on host {other.host!r} has had it since {other.since}"
        if not self._shown:
            if not same:
                self._log(f"{name}; if it is still in use, {REMEDY}; if this one takes its place, all is well")
            return False
        problem = f"{name}, and they push each other out and overwrite each other's states; {REMEDY}"
        self._log(problem)
        self._met = (now, problem)
        if now - self._laid_over_at < AGAIN_SECONDS:
            return False
        self._laid_over_at = now
        return True

    def leftovers(self) -> set[str] | None:
        """Which topics of earlier runs are ours, to be emptied if they are not used any more.

        Told once, as soon as the broker has said enough; None before and after.
        """
        if self._settled or (self._former and not self._shown):
            return None
        self._settled = True
        taken = sorted(root for root, theirs in self._former.items() if theirs)
        if not taken:
            return self._kept
        log.warning(
            "topics under %s are left as they are: another device has that name; if this one had it before, "
            "its state directory was copied from there",
            " and ".join(taken),
        )
        ids = HomeAssistantIds(self._topics.device)
        return {topic for topic in self._kept if topic.startswith(f"{self._topics.root}/") or ids.owns(topic)}

    def _log(self, text: str) -> None:
        """Once, not at every connection."""
        if text not in self._logged:
            self._logged.add(text)
            log.warning("%s", text)


def _roots(kept: Collection[str]) -> set[str]:
    """Prefix and name under which topics lie."""
    own = [topic for topic in kept if "/sound/" not in topic and "/threshold/" not in topic]
    found = {topic.removesuffix("/available") for topic in own if topic.endswith("/available")}
    return found | {topic.rsplit("/", 2)[0] for topic in own if topic.endswith("/status") and topic.count("/") > 2}
