"""What comes over MQTT as a command: to the listening loop, or back with what is wrong."""

import logging
import queue
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from asit_edge.messages.report import CommandError
from asit_edge.mqtt.command_rate import TOO_MANY, Admission, CommandRate
from asit_edge.mqtt.commands import Command, Correction, answer, read_message
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics

log = logging.getLogger(__name__)


class Incoming:
    """The commands of one device, as they come in the connection's thread; `labels` maps slugs to names."""

    def __init__(
        self,
        topics: Topics,
        sources: Collection[str],
        labels: Mapping[str, str],
        correct: Callable[[Correction, Callable[[str], CommandError]], None] | None = None,
    ) -> None:
        """`correct` takes corrections, with what makes an answer of words."""
        self._correct = correct
        self._topics, self._sources, self._labels = topics, sources, labels
        self._rate = CommandRate()
        self.commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        """Those that make sense."""

    def know(self, labels: Mapping[str, str]) -> None:
        """There are other labels from now on."""
        self._labels = labels

    def hear_of(self, sources: Collection[str]) -> None:
        """There are other sources from now on."""
        self._sources = sources

    def take(self, message: Message) -> CommandError | None:
        """What is to be answered; None if it is obeyed, no command, or one of too many."""
        parsed = self._topics.parse_command(message.topic)
        if parsed is None:
            return None
        admission = self._rate.admit(time.monotonic())
        if admission is Admission.DROP:
            return None
        if admission is Admission.ANSWER:
            log.warning("command %s: %s (%d so far)", message.topic, TOO_MANY, self._rate.dropped)
            return answer(self._topics, *parsed, message.payload, TOO_MANY)
        command = read_message(message, self._topics, self._sources, self._labels)
        if isinstance(command, CommandError):
            log.warning("command %s refused: %s", message.topic, command.error)
            return command
        if isinstance(command, Correction):
            if self._correct is not None:
                self._correct(command, partial(answer, self._topics, *parsed, message.payload))
            return None
        if command is not None:
            log.info("command %s: %s", message.topic, command.value)
            self.commands.put(command)
        return None
