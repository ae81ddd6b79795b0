"""Events as HTTP requests: `POST` of the event's JSON over a connection that is kept."""

import base64
import http.client
import ssl
from email.message import Message
from urllib.parse import quote, unquote, urlsplit

from asit_edge import __version__
from asit_edge.config.delivery import WebhookSink
from asit_edge.config.secrets import fill_in, read_secret, unclear, without_secrets
from asit_edge.deliver.sinks.base import Refused, Send, Unavailable
from asit_edge.errors import WrongUse, one_line
from asit_edge.messages.event import Event

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
"""What may stand in an address as it is."""

REFUSED_FOR_GOOD = {400, 413, 415, 422}
"""What a server answers when the message itself is wrong for it. All else may be put right, and is tried again."""


def open_webhook(settings: WebhookSink) -> Send:
    """Raises WrongUse if the address, the token or the certificates cannot be used."""
    return _Webhook(settings).send


class _Webhook:
    def __init__(self, settings: WebhookSink) -> None:
        where = f"sinks.{settings.name}"
        url = fill_in(settings.url, f"{where}.url")
        if unclear(url):
            raise WrongUse(
                f"{where}.url: its password has a character that ends a host name; write / as %2F, ? as %3F, # as %23"
            )
        try:
            address = urlsplit(url)
            self._host, self._port = address.hostname, address.port
            (self._host or "").encode("idna")
        except ValueError as error:
            raise WrongUse(f"{where}.url: is no address ({one_line(error).partition(':')[0]})") from None
        if address.scheme not in ("http", "https") or not self._host:
            raise WrongUse(f"{where}.url: must begin with http:// or https://, and a host")
        self._path = quote((address.path or "/") + (f"?{address.query}" if address.query else ""), safe=PRINTABLE)
        self._url, self._where = url, f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        self._timeout = settings.timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": f"asit-edge/{__version__}"}
        if address.username is not None:
            if settings.token_file:
                raise WrongUse(f"{where}: the url has a user, and there is a token_file; leave one of them out")
            user = f"{unquote(address.username)}:{unquote(address.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        if settings.token_file:
            token = read_secret(settings.token_file, f"{where}.token_file")
            self._headers["Authorization"] = f"Bearer {token}"
        self._tls: ssl.SSLContext | None = None
        if address.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
            except OSError as error:
                raise WrongUse(f"{where}.ca_file {settings.ca_file}: cannot be used ({one_line(error)})") from None
        self._connection: http.client.HTTPConnection | None = None

    def send(self, payload: str) -> None:
        event = Event.model_validate_json(payload)
        headers = self._headers | {"Idempotency-Key": f"{event.id}-{event.type}-{event.seq}"}
        fresh = self._connection is None
        try:
            status, answer = self._post(payload.encode(), headers)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            if not fresh:  # the server may have closed a connection that was idle: once more, over a new one
                return self.send(payload)
            reason = without_secrets(one_line(error), self._url) or type(error).__name__
            raise Unavailable(f"{self._where}: {reason}") from None
        if 200 <= status < 300:
            return None
        answer = without_secrets(answer, self._url)
        if status in REFUSED_FOR_GOOD:
            raise Refused(f"{self._where} answered {status} {answer}")
        hint = " (redirections are not followed: set the final url)" if 300 <= status < 400 else ""
        raise Unavailable(f"{self._where} answered {status} {answer}{hint}")

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        if self._connection is None:
            assert self._host is not None
            self._connection = (
                http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
                if self._tls
                else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
            )
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        response.read(1 << 16)
        if not response.isclosed() or _closes(response.headers):
            self._close()
        return response.status, response.reason

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _closes(headers: Message) -> bool:
    return str(headers.get("Connection", "")).lower() == "close"
