"""`web` in config.yaml: the page that shows what is heard."""

import ipaddress
import socket
from typing import Annotated

from pydantic import AfterValidator, Field

from asit_edge.config.section import File, Section


def _address(host: str) -> str:
    """Addresses only: a name would have to be looked up, and might be several."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError("must be an IP address of this machine, such as 127.0.0.1, or 0.0.0.0 for all") from None


NAME = r"^([A-Za-z0-9._-]{1,255}|[0-9A-Fa-f:]{2,45})$"
"""Of a host, or its address; without a port."""


def _name(name: str) -> str:
    return name.strip().rstrip(".").lower()


Address = Annotated[str, AfterValidator(_address)]
HostName = Annotated[str, Field(pattern=NAME), AfterValidator(_name)]


class WebSettings(Section):
    """Whoever can reach the page sees what is heard: from other machines only with a token."""

    enabled: bool = True
    host: Address = Field("127.0.0.1", description="address to serve on; another one than loopback needs token_file")
    port: int = Field(8490, ge=1, le=65_535)
    token_file: File | None = Field(None, description="its first line is what whoever looks has to know")
    ingress: Address | None = Field(
        None, description="address from which whoever comes has been let in: Home Assistant's ingress; null: none"
    )
    names: list[HostName] = Field(default_factory=list, description="other names under which browsers find it")

    @property
    def loopback(self) -> bool:
        """Only this machine reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def address(self) -> str | None:
        """The page's for browsers on other machines; None where they do not reach it."""
        if not self.enabled or self.loopback:
            return None
        bound = ipaddress.ip_address(self.host)
        if bound.is_unspecified:
            own = socket.gethostname()
            host = self.names[0] if self.names else own if "." in own else f"{own}.local"
        else:
            host = self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
