"""Where the log goes: to standard error, or, while something else writes there, to that."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asit_edge.host.lines import Lines

LAST_WORDS = 1.0
"""Seconds that whoever reads the log gets, at the end, for what still waits."""

Handler = logging.StreamHandler[Any]


def talk_handlers() -> list[Handler]:
    """Those of the log that write to a descriptor."""
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    return handlers if all(hasattr(one.stream, "fileno") for one in handlers) else []


@contextmanager
def talking_to(streams: Sequence[Any]) -> Iterator[None]:
    """Each of `talk_handlers` writes to the stream in its place, until the end."""
    handlers = talk_handlers()
    before = [handler.stream for handler in handlers]
    for handler, stream in zip(handlers, streams, strict=True):
        handler.setStream(stream)
    try:
        yield
    finally:
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)


@contextmanager
def talk_never_waiting() -> Iterator[None]:
    """The log goes where it went, but nobody waits for whoever reads it."""
    talk = [Lines(handler.stream.fileno(), "stderr", telling=False) for handler in talk_handlers()]
    try:
        with talking_to(talk):
            yield
    finally:
        for lines in talk:
            lines.close(LAST_WORDS)
