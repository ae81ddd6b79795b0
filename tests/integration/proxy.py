"""A network between client and broker that can be cut, and that can swallow packets as a firewall does."""

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType


class Proxy:
    """Listens on `port` and forwards to the broker; one thread."""

    def __init__(self, broker_port: int, bytes_a_second: float | None = None) -> None:
        """`bytes_a_second` for a slow link, of both directions together."""
        self._broker_port = broker_port
        self._pause, self._at_once = (0.05, int(bytes_a_second * 0.05)) if bytes_a_second else (0.0, 1 << 16)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = True
        self._swallows = False
        self._stopping = False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join(timeout=5)
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """Ends every connection; new ones are ended at once."""
        with self._lock:
            self._open = False
            for one in list(self._pairs):
                self._close(one)

    def open(self) -> None:
        """Lets new connections through again."""
        with self._lock:
            self._open, self._swallows = True, False

    def swallow(self) -> None:
        """Connections stay, and nothing that is sent over them arrives."""
        self._swallows = True

    def _close(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is not None:
            self._pairs.pop(other, None)
        for end in (one, other):
            if end is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self._selector.unregister(end)
                end.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._open:
            client.close()
            return
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port), timeout=2)
        except OSError:
            client.close()
            return
        self._pairs[client], self._pairs[broker] = broker, client
        for end in (client, broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ)

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    one = key.fileobj
                    assert isinstance(one, socket.socket)
                    if one is self._listener:
                        self._accept()
                    elif one in self._pairs:
                        self._forward(one)

    def _forward(self, one: socket.socket) -> None:
        try:
            data = one.recv(self._at_once)
            time.sleep(self._pause)
            if data and not self._swallows:
                self._pairs[one].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._close(one)
