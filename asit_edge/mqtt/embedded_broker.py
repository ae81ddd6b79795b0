"""An MQTT 3.1.1 broker inside this process, for the demonstration and for tests."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from asit_edge.errors import AsitEdgeError

HOST = "127.0.0.1"


@contextmanager
def embedded_broker(port: int, transport: Literal["tcp", "ws"] = "tcp") -> Iterator[None]:
    """An MQTT 3.1.1 broker on the loopback interface, in a thread of this process.

    Raises AsitEdgeError if amqtt is not installed or the broker cannot start.
    """
    try:
        from amqtt.broker import Broker
    except ImportError:
        raise AsitEdgeError("the demonstration needs an embedded broker: pip install 'asit-edge[demo]'") from None
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    settings = {
        "listeners": {"default": {"type": transport, "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()
    failure: list[Exception] = []

    async def serve() -> None:
        try:
            broker = Broker(settings)
            await broker.start()
        except Exception as error:
            failure.append(error)
            ready.set()
            return
        ready.set()
        await stop.wait()
        await broker.shutdown()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="broker", daemon=True)
    thread.start()
    ready.wait(20)
    if failure or not ready.is_set():
        raise AsitEdgeError(
            f"the embedded broker cannot start on {HOST}:{port}: {failure[0] if failure else 'no answer'}"
        )
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
