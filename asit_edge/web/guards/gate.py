"""What every request has to pass before it reaches anything: names, rate, origin, token; and what every answer says."""

import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asit_edge.web.guards.access import Access, TooManyGuesses
from asit_edge.web.guards.hosts import Hosts, same_origin

log = logging.getLogger(__name__)

SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; media-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

FRAMED = {
    **SAFE,
    "content-security-policy": SAFE["content-security-policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
    "x-frame-options": "SAMEORIGIN",
}
"""Through an ingress the page is a frame of another one of the same origin."""

OPEN = ("/", "/healthz", "/api/session")
"""What may be asked for without a token: the page itself, which knows nothing yet; and what is below /static/."""

BURST, A_SECOND = 200, 60.0
"""Requests of one address: so many at once, and so many a second."""

FOREIGN = "this was asked for by a page of somebody else"

MOST_HEADER = 16_384
"""Bytes of a request's head."""

MOST_ADDRESSES = 512
"""That are remembered."""


class Rate:
    """How many requests an address may make."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, address: str) -> bool:
        now = self._clock()
        left, at = self._left.pop(address, (float(BURST), now))
        left = min(left + (now - at) * A_SECOND, BURST)
        admitted = left >= 1
        self._left[address] = (left - 1 if admitted else left), now
        while len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return admitted


class Gate:
    """Before an application; `cookie` is the name under which browsers keep a session.

    Who comes from the address `ingress` has been let in by it, and needs no token; it says under which name.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, access: Access, cookie: str, ingress: str | None = None) -> None:
        self._app, self._hosts, self._access, self._cookie, self._ingress = app, hosts, access, cookie, ingress
        self._rate = Rate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        begun = False

        async def safe_send(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in (FRAMED if self._let_in(scope) else SAFE).items():
                    headers[name] = value
            await send(message)

        try:
            refusal = self._refusal(scope)
            await (refusal or self._app)(scope, receive, safe_send)
        except Exception:
            log.exception("the page: a request failed")
            if not begun:
                await _no(500, "something went wrong here; the log says what")(scope, receive, safe_send)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Why a request goes no further; None if it does."""
        headers, path = Headers(scope=scope), scope["path"]
        address = scope["client"][0] if scope["client"] else ""
        if not self._rate.admits(address):
            return _no(429, "too many requests; wait a second", {"retry-after": "1"})
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER:
            return _no(431, f"the head of the request is larger than {MOST_HEADER} bytes")
        if self._let_in(scope):
            asked = headers.get("x-forwarded-host") or headers.get("host")
            scope["asit_edge.admitted"], scope["asit_edge.stays"] = True, lambda: True
            return None if _from_here(scope["method"], path, headers, asked) else _no(403, FOREIGN)
        if self._ingress and not self._access.needed and not _local(address):
            return _no(403, "only Home Assistant's ingress and this machine are answered; others need web.token_file")
        if not self._hosts.allows(headers.get("host")):
            return _no(421, "this name is not this machine's: open it by its address, or add the name to web.names")
        if not _from_here(scope["method"], path, headers, headers.get("host")):
            return _no(403, FOREIGN)
        session = cookie_parser(headers.get("cookie", "")).get(self._cookie)
        scope["asit_edge.admitted"] = admitted = self._admitted(session, headers, address)
        scope["asit_edge.stays"] = self._stays(session)
        if isinstance(admitted, float):
            wait = max(round(admitted), 1)
            return _no(429, f"too many wrong tokens; try again in {wait} s", {"retry-after": str(wait)})
        if admitted or path in OPEN or path.startswith("/static/"):
            return None
        return _no(401, "the token is needed: open the page and give it", {"www-authenticate": "Bearer"})

    def _let_in(self, scope: Scope) -> bool:
        return self._ingress is not None and bool(scope["client"]) and scope["client"][0] == self._ingress

    def _stays(self, session: str | None) -> Callable[[], bool]:
        """What tells later whether an answer may go on: no longer than the session that it was admitted by."""
        if session is None or not self._access.knows(session):
            return lambda: True
        return lambda: self._access.knows(session)

    def _admitted(self, session: str | None, headers: Headers, address: str) -> bool | float:
        """Whether the token is known, or for how many seconds nobody is asked."""
        try:
            return self._access.admits(session, headers.get("authorization"), address)
        except TooManyGuesses as wait:
            return wait.seconds


def _local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _from_here(method: str, path: str, headers: Headers, host: str | None) -> bool:
    """Whether a browser asks on behalf of this very page, or somebody follows a link to it, or it is no browser.

    `host` is the name under which it was asked for.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if origin is not None and not same_origin(origin, host):
        return False
    if site in (None, "same-origin"):
        return True
    visit = method in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    return visit and headers.get("sec-fetch-dest") == "document" and (site == "none" or path == "/")


def _no(status: int, words: str, headers: dict[str, str] | None = None) -> ASGIApp:
    return JSONResponse({"error": words}, status, {"cache-control": "no-store", **(headers or {})})
