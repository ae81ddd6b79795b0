"""Events as HTTP requests: `POST` of the event's JSON over a connection that is kept."""

from asit_edge.config.delivery import WebhookSink
from asit_edge.config.secrets import fill_in
from asit_edge.deliver.sinks.base import Refused, Send, Unavailable
from asit_edge.deliver.sinks.http_server import REFUSED_FOR_GOOD, USER_AGENT, HttpServer, bearer
from asit_edge.errors import WrongUse
from asit_edge.messages.event import Event


def open_webhook(settings: WebhookSink) -> Send:
    """Raises WrongUse if the address, the token or the certificates cannot be used."""
    return _Webhook(settings).send


class _Webhook:
    def __init__(self, settings: WebhookSink) -> None:
        where = f"sinks.{settings.name}"
        url = fill_in(settings.url, f"{where}.url")
        self._server = HttpServer(
            url, f"{where}.url", ca_file=settings.ca_file, ca_key=f"{where}.ca_file", timeout=settings.timeout
        )
        self._headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        if self._server.basic:
            if settings.token_file:
                raise WrongUse(f"{where}: the url has a user, and there is a token_file; leave one of them out")
            self._headers["Authorization"] = self._server.basic
        if settings.token_file:
            self._headers["Authorization"] = bearer(settings.token_file, f"{where}.token_file")

    def send(self, payload: str) -> None:
        event = Event.model_validate_json(payload)
        headers = self._headers | {"Idempotency-Key": f"{event.id}-{event.type}-{event.seq}"}
        status, answer, *_ = self._server.post(self._server.path, payload.encode(), headers)
        if 200 <= status < 300:
            return
        answer = self._server.without_secrets(answer)
        if status in REFUSED_FOR_GOOD:
            raise Refused(f"{self._server.name} answered {status} {answer}")
        hint = " (redirections are not followed: set the final url)" if 300 <= status < 400 else ""
        raise Unavailable(f"{self._server.name} answered {status} {answer}{hint}")
