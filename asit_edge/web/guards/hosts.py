"""Under which names this machine may be asked for: a foreign one means that others' page asks (DNS rebinding). Pure."""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """For a page that is served on the address `bound`."""

    def __init__(self, bound: str, names: Collection[str] = (), machine: str | None = None) -> None:
        """`names` are the configuration's; `machine` is this one's host name (None: as it is)."""
        own = (socket.gethostname() if machine is None else machine).rstrip(".").lower()
        short = own.partition(".")[0]
        self._names = {*LOCAL, bound, own, short, f"{short}.local", *names} - {"", ".local"}
        # An address in place of a name cannot be made to mean another machine.
        self._any_address = ipaddress.ip_address(bound).is_unspecified

    def allows(self, header: str | None) -> bool:
        """Whether a request with this `Host` is meant for this machine."""
        name = name_in(header)
        if name is None:
            return False
        return name in self._names or (self._any_address and _is_address(name))


def name_in(header: str | None) -> str | None:
    """The name, or the address, of a `Host`, without its port; None if there is none."""
    try:
        parts = urlsplit(f"//{header or ''}")
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment or "?" in (header or ""):
        return None
    return parts.hostname.rstrip(".") if parts.hostname else None


def same_origin(origin: str, host: str | None) -> bool:
    """Whether a page of this origin came from where the request goes to. Its scheme a proxy may have changed."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and host is not None and rest.lower() == host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
