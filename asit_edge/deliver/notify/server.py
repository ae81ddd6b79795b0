"""The server of a service, as its sink names it."""

from collections.abc import Iterable

from asit_edge.config.notifications import NtfySink, PushoverSink, TelegramSink
from asit_edge.config.secrets import fill_in
from asit_edge.deliver.sinks.http_server import HttpServer
from asit_edge.errors import WrongUse


def server_of(settings: NtfySink | PushoverSink | TelegramSink, secrets: Iterable[str], remedy: str) -> HttpServer:
    """`secrets` as in `HttpServer`; `remedy` is what to do about an address that has a path.

    Raises WrongUse if the address or the certificates cannot be used.
    """
    where = f"sinks.{settings.name}"
    server = HttpServer(
        fill_in(settings.server, f"{where}.server"),
        f"{where}.server",
        ca_file=settings.ca_file,
        ca_key=f"{where}.ca_file",
        timeout=settings.timeout,
        secrets=secrets,
    )
    if server.path != "/":
        raise WrongUse(f"{where}.server: must be the server alone{remedy}")
    return server
