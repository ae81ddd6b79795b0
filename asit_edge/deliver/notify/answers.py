"""What the answer of a service means for a notification: taken, to be tried again, or refused for good."""

import email.utils
import json
import math
import time
from collections.abc import Callable
from typing import Any

from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.http_server import REFUSED_FOR_GOOD, Answer, HttpServer
from asit_edge.errors import one_line

MOST_TOLD = 200
"""Characters of what a service says."""


def said(answer: Answer) -> dict[str, Any]:
    """The JSON object in an answer; empty where there is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def judge(
    server: HttpServer, answer: Answer, words: str, hint: Callable[[int, str], str | None], wait: float = 0.0
) -> None:
    """Returns if the service has taken it. Raises Unavailable or Refused.

    `words` is what the service says about it, `wait` the seconds for which its answer asks. `hint` says for a status
    and those words which key to check, where it is the configuration that is wrong and not the message.
    """
    if 200 <= answer.status < 300:
        return
    words = server.without_secrets(one_line(words or answer.reason))[:MOST_TOLD]
    told = f"{server.name} answered {answer.status} {words}".rstrip()
    if 300 <= answer.status < 400:
        raise Unavailable(f"{told} (redirections are not followed: set the final address)")
    if (check := hint(answer.status, words)) is not None:
        raise Unavailable(f"{told}; {check}", max(wait, _wait(answer)))
    if answer.status in REFUSED_FOR_GOOD:
        raise Refused(told)
    raise Unavailable(told, max(wait, _wait(answer)))


def _wait(answer: Answer) -> float:
    """Seconds for which `Retry-After` asks (RFC 9110, section 10.2.3): a number, or a time."""
    text = str(answer.headers.get("Retry-After", "")).strip()
    try:
        seconds = float(text) if text.isascii() and text.isdigit() else _until(text)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _until(text: str) -> float:
    return email.utils.parsedate_to_datetime(text).timestamp() - time.time()
