"""One HTTP server that takes POST requests, and what may be told of it: never a password, a token or a query."""

import base64
import http.client
import ssl
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from asit_edge import __version__
from asit_edge.config.secrets import SHORT, read_secret, unclear, without_secrets
from asit_edge.deliver.sinks.base import Unavailable
from asit_edge.errors import WrongUse, one_line

USER_AGENT = f"asit-edge/{__version__}"

MOST_READ = 1 << 16
"""Bytes that are read of an answer."""

REFUSED_FOR_GOOD = {400, 413, 415, 422}
"""What a server answers when the message itself is wrong for it. All else may be put right, and is tried again."""

_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
"""What may stand in an address as it is."""


class Answer(NamedTuple):
    """What a server said to a request."""

    status: int
    reason: str
    headers: Message
    body: bytes


class HttpServer:
    """Speaks to one server over a connection that is kept until it breaks, or is closed."""

    def __init__(
        self, url: str, key: str, *, ca_file: Path | None, ca_key: str, timeout: float, secrets: Iterable[str] = ()
    ) -> None:
        """`key` and `ca_key` are where the configuration has address and certificates; `timeout` in seconds.

        `secrets` is what nothing may repeat that is told of this server, beside what is in the address itself.

        Raises WrongUse if the address or the certificates cannot be used.
        """
        self.address = _address(url, key)
        self._url, self._secrets, self._timeout = url, [one for one in secrets if len(one) > SHORT], timeout
        self._host, self._port = self.address.hostname, self.address.port
        self.name = f"{self.address.scheme}://{self.address.netloc.rpartition('@')[2]}"
        """All that is told of the address."""
        self._tls: ssl.SSLContext | None = None
        if self.address.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
            except OSError as error:
                raise WrongUse(f"{ca_key} {ca_file}: cannot be used ({one_line(error)})") from None
        self._connection: http.client.HTTPConnection | None = None

    @property
    def path(self) -> str:
        """Of the address, with its query, as HTTP wants it."""
        address = self.address
        return quote((address.path or "/") + (f"?{address.query}" if address.query else ""), safe=_PRINTABLE)

    @property
    def basic(self) -> str | None:
        """The user and password of the address as a value of `Authorization`."""
        if self.address.username is None:
            return None
        user = f"{unquote(self.address.username)}:{unquote(self.address.password or '')}"
        return f"Basic {base64.b64encode(user.encode()).decode()}"

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Raises Unavailable if there is no answer."""
        fresh = self._connection is None
        try:
            return self._post(path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not fresh:  # the server may have closed a connection that was idle: once more, over a new one
                return self.post(path, body, headers)
            raise Unavailable(f"{self.name}: {self.without_secrets(one_line(error)) or type(error).__name__}") from None

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            assert self._host is not None
            self._connection = (
                http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
                if self._tls
                else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            )
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        said = response.read(MOST_READ)
        if not response.isclosed() or str(response.headers.get("Connection", "")).lower() == "close":
            self.close()
        return Answer(response.status, response.reason, response.headers, said)

    def close(self) -> None:
        """The next request goes over a new connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def without_secrets(self, text: str) -> str:
        """What somebody else says about this server, as it may be told."""
        text = without_secrets(text, self._url)
        for secret in sorted(self._secrets, key=len, reverse=True):
            for form in (secret, quote(secret), quote(secret, safe="")):
                text = text.replace(form, "***")
        return text


def bearer(file: Path, key: str) -> str:
    """The token in a file as a value of `Authorization`. Raises WrongUse, naming `key`, if it cannot be one."""
    return f"Bearer {sendable(read_secret(file, key), f'{key} {file}')}"


def sendable(secret: str, key: str) -> str:
    """A secret that HTTP can carry in a line of its own. Raises WrongUse, naming `key`, if it cannot be one."""
    if not secret.isascii() or not secret.isprintable():
        raise WrongUse(f"{key}: has a character that no token has; it must be letters, digits and signs on one line")
    return secret


def _address(url: str, key: str) -> SplitResult:
    if unclear(url):
        raise WrongUse(f"{key}: its password has a character that ends a host name; write / as %2F, ? as %3F, # as %23")
    try:
        address = urlsplit(url)
        address.port  # noqa: B018  raises where it is none
        (address.hostname or "").encode("idna")
    except ValueError as error:
        raise WrongUse(f"{key}: is no address ({one_line(error).partition(':')[0]})") from None
    if address.scheme not in ("http", "https") or not address.hostname:
        raise WrongUse(f"{key}: must begin with http:// or https://, and a host")
    return address
