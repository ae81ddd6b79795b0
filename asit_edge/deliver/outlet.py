"""What the broker keeps for a device, whichever broker that is at the moment."""

import threading

from asit_edge.deliver.changing import Broker
from asit_edge.deliver.sinks.mqtt import MqttSink
from asit_edge.mqtt.topics import Topics


class Outlet:
    """Of one device. For any thread."""

    def __init__(self, broker: Broker, topics: Topics) -> None:
        self.mqtt, self.namesakes, self.secrets = broker
        self._topics = topics
        self._states: dict[str, str] = {}
        """By topic: another broker is told it too."""
        self._lock = threading.Lock()

    @property
    def connected(self) -> bool:
        return self.mqtt is not None and self.mqtt.problem is None

    def introduce(self) -> None:
        """Shows who speaks."""
        if self.namesakes:
            self.show(self._topics.identity, self.namesakes.own)

    def start(self) -> None:
        """Begins to say what is to be shown."""
        if self.mqtt:
            self.clear_old_topics()
            self.mqtt.start()

    def show(self, topic: str, payload: str) -> None:
        """Sets a state that the broker keeps for us; an empty one is none any more."""
        with self._lock:
            self._states[topic] = payload
            if self.mqtt:
                self.mqtt.set_state(topic, payload)

    def retire(self, topics: set[str]) -> None:
        """These are no states any more: the broker forgets them, behind what has been said before."""
        with self._lock:
            for topic in topics:
                self._states.pop(topic, None)
            if self.mqtt and topics:
                self.mqtt.retire(topics)

    def clear_old_topics(self) -> None:
        """Once it is known which are ours."""
        leftovers = self.namesakes.leftovers() if self.namesakes else None
        if self.mqtt and leftovers is not None:
            self.mqtt.clear_old_topics(leftovers)

    def withdraw(self, broker: Broker) -> MqttSink | None:
        """Nothing goes to the broker any more, until `replace`, which is given what this returns."""
        with self._lock:
            old, self.mqtt, self.namesakes, self.secrets = self.mqtt, None, None, broker.secrets
        return old

    def replace(self, old: MqttSink | None, broker: Broker) -> None:
        """What the old one has not taken waits in the store for the new one, which is told all that is true."""
        if old:
            old.stop()
        if broker.sink and broker.namesakes:
            with self._lock:
                self._states[self._topics.identity] = broker.namesakes.own
                for topic, payload in self._states.items():
                    if payload:
                        broker.sink.set_state(topic, payload)
                self.mqtt, self.namesakes, self.secrets = broker
            self.clear_old_topics()
            broker.sink.start()
