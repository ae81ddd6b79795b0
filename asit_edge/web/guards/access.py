"""Who may look: whoever knows the token, or has shown it before (a session). Guessing is slowed down."""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from asit_edge.config.secrets import read_secret
from asit_edge.config.web import WebSettings
from asit_edge.errors import WrongUse

SHORTEST_TOKEN = 12
"""Characters of a token at least."""

LASTING = 30 * 86_400.0
"""Seconds for which a session lasts."""

MOST_SESSIONS, MOST_GUESSERS = 64, 512
"""What is remembered; the oldest are forgotten."""

FREE_GUESSES = 5
"""Wrong tokens from one address before it has to wait: 1 s, then 2, 4 and so on up to LONGEST_WAIT."""
LONGEST_WAIT = 60.0

REMEDY = (
    "make one with `(umask 077; head -c 18 /dev/urandom | base64 > ~/asit-edge-token)` and name it: "
    "`web: {token_file: ~/asit-edge-token}`"
)


class TooManyGuesses(Exception):
    """The address has to wait; `seconds` until then."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def read_token(settings: WebSettings) -> str | None:
    """What whoever looks has to know; None: nothing. Raises WrongUse where others could look without.

    Where there is an ingress, others are not answered at all without a token (`Gate`).
    """
    if settings.token_file is None:
        if not settings.loopback and settings.ingress is None:
            raise WrongUse(f"web.host {settings.host}: other machines reach it, so it needs a token; {REMEDY}")
        return None
    token = read_secret(settings.token_file, "web.token_file")
    if len(token) < SHORTEST_TOKEN:
        raise WrongUse(
            f"web.token_file {settings.token_file}: a token of {len(token)} characters can be guessed (at least "
            f"{SHORTEST_TOKEN}); {REMEDY}"
        )
    return token


class Access:
    """For any thread. Times are of a clock that does not step."""

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.needed = token is not None
        """Whether a token is asked for at all."""
        self._token = _digest(token or secrets.token_hex())
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        self._guessers: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admits(self, session: str | None, authorization: str | None, address: str) -> bool:
        """Whether a request may see what is heard. Raises TooManyGuesses where it brings a token and has to wait."""
        if not self.needed:
            return True
        if session is not None and self.knows(session):
            return True
        kind, _, token = (authorization or "").partition(" ")
        return kind.lower() == "bearer" and self._right(token.strip(), address)

    def begin(self, token: str, address: str) -> str | None:
        """A session for whoever knows the token, or None. Raises TooManyGuesses."""
        if not self._right(token, address):
            return None
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_digest(session)] = self._clock() + LASTING
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def end(self, session: str) -> None:
        with self._lock:
            self._sessions.pop(_digest(session), None)

    def knows(self, session: str) -> bool:
        """Whether it has begun here and not ended yet."""
        with self._lock:
            until = self._sessions.get(_digest(session))
            return until is not None and self._clock() < until

    def _right(self, token: str, address: str) -> bool:
        who, now = _neighbourhood(address), self._clock()
        with self._lock:
            wrong, until = self._guessers.get(who, (0, 0.0))
            if now < until:
                raise TooManyGuesses(until - now)
            if hmac.compare_digest(_digest(token), self._token):
                self._guessers.pop(who, None)
                return True
            wrong += 1
            wait = min(2.0 ** (wrong - FREE_GUESSES), LONGEST_WAIT) if wrong >= FREE_GUESSES else 0.0
            self._guessers[who] = wrong, now + wait
            self._guessers.move_to_end(who)
            while len(self._guessers) > MOST_GUESSERS:
                self._guessers.popitem(last=False)
        return False


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _neighbourhood(address: str) -> str:
    """Of IPv6 the network: whoever has one address of it has them all."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else str(known)
