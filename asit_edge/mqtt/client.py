"""The consumer's side: a subscriber that gets every event once, and knows what was not heard and who is away.

    with Client(host="broker", on_event=print) as client:
        client.wait()

Delivery is at least once: what comes twice is recognised by id, type and number, and given out once. With a client id
the broker keeps what comes while this client is away.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from asit_edge.config.delivery import Mqtt
from asit_edge.messages.event import Event
from asit_edge.messages.report import Gap, Status
from asit_edge.mqtt.connection import Callbacks, Connection, Limits, Message

log = logging.getLogger(__name__)

REMEMBERED = 100_000
"""Messages by which a repetition is recognised."""


@dataclass(frozen=True)
class Availability:
    """Whether a device is online, as it published itself or the broker did by its last will."""

    device: str
    online: bool


def ignore(_: object) -> None:
    """For what a consumer does not care about."""


class Client:
    """Follows the devices under one prefix. The callbacks run in the connection's thread, one at a time.

    An `Event` is given out once, however often it comes; `event.replayed` marks one that is reported late.
    A `Gap` is time in which nothing was listened to. `Status` and `Availability` come at first, then on change.
    """

    def __init__(
        self,
        settings: Mqtt | None = None,
        *,
        host: str | None = None,
        port: int | None = None,
        client_id: str | None = None,
        device: str = "+",
        source: str = "+",
        on_event: Callable[[Event], None] = ignore,
        on_gap: Callable[[Gap], None] = ignore,
        on_status: Callable[[Status], None] = ignore,
        on_availability: Callable[[Availability], None] = ignore,
    ) -> None:
        """`settings` as in the configuration's section `mqtt`, or else just host and port.

        Raises WrongUse if certificates or the password cannot be read.
        """
        self._settings = settings or Mqtt(host=host or "localhost", port=port)
        root = f"{self._settings.prefix}/{device}"
        self._filters = [f"{root}/{source}/{kind}" for kind in ("event", "gap", "status")] + [f"{root}/available"]
        self._handlers: Mapping[str, Callable[[Message], None]] = {
            "event": self._on_event,
            "gap": lambda message: on_gap(Gap.model_validate_json(message.payload)),
            "status": lambda message: on_status(Status.model_validate_json(message.payload)),
            "available": self._on_available,
        }
        self._event_to = on_event
        self._available_to = on_availability
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._online: dict[str, bool] = {}
        self._stopped = threading.Event()
        self._subscribed = threading.Event()
        self._failure: Exception | None = None
        self.repetitions = 0
        """Events that came again and were not given out again."""
        self.connection = Connection(
            self._settings,
            client_id or "",
            Callbacks(up=self._on_up, message=self._on_message, subscribed=self._subscribed.set),
            keep_session=client_id is not None,
            waiting="messages are missed" if client_id is None else "the broker keeps messages",
        )

    def start(self) -> "Client":
        self.connection.start()
        return self

    def subscribed(self, seconds: float) -> bool:
        """Waits until nothing that comes is missed any more, at most so long; `problem` has the reason if not."""
        deadline = time.monotonic() + seconds
        return self.connection.first_attempt(seconds) and self._subscribed.wait(max(deadline - time.monotonic(), 0.0))

    @property
    def problem(self) -> str | None:
        return self.connection.problem

    @property
    def online(self) -> frozenset[str]:
        """The devices that are online."""
        return frozenset(device for device, online in self._online.items() if online)

    def wait(self, seconds: float | None = None) -> None:
        """Until `stop`, or at most so long. Raises what a callback raised."""
        self._stopped.wait(seconds)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stopped.set()
        self.connection.stop()

    def __enter__(self) -> "Client":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _on_up(self, _limits: Limits) -> None:
        self.connection.subscribe(*self._filters)

    def _on_message(self, message: Message) -> None:
        if self._stopped.is_set():
            return
        try:
            self._handlers[message.topic.rpartition("/")[2]](message)
        except ValidationError as error:
            log.warning("%s: not a message of the contract (%d error(s))", message.topic, error.error_count())
        except Exception as error:  # a consumer's own: it ends the waiting, not silently the thread
            self._failure = error
            self._stopped.set()

    def _on_event(self, message: Message) -> None:
        event = Event.model_validate_json(message.payload)
        key = (event.id, event.type, event.seq)
        if key in self._seen:
            self.repetitions += 1
            return
        self._event_to(event)
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _on_available(self, message: Message) -> None:
        device = message.topic.split("/")[-2]
        online = message.payload == b"online"
        if self._online.get(device) != online and message.payload:
            self._online[device] = online
            self._available_to(Availability(device, online))
