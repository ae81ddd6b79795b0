"""What the page's requests are answered with, and what of a request's body is taken."""

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

MOST_BODY = 16_384
"""Bytes of a request's body."""


class Refused(Exception):
    """A request that is not done: the status, and why in the user's words."""

    def __init__(self, status: int, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


def answer(data: object, status: int = 200) -> Response:
    """JSON that is nobody else's, and that no browser keeps."""
    return JSONResponse(data, status, {"cache-control": "no-store"})


async def refused(_: Request, error: Exception) -> Response:
    """Starlette's way to answer a Refused."""
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.words}, error.status, {"cache-control": "no-store", **(error.headers or {})})


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be JSON, with Content-Type: application/json")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MOST_BODY:
                raise Refused(413, f"the body is larger than {MOST_BODY} bytes", {"connection": "close"})
    except ClientDisconnect:
        raise Refused(400, "the body broke off") from None
    try:
        value = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise Refused(400, 'the body must be a JSON object, such as {"label": "Dog"}')
    return value


def text_of(values: dict[str, Any], key: str, most: int = 500) -> str:
    """A text of a JSON object. Raises Refused."""
    value = values.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise Refused(400, f"{key} must be a text of 1 to {most} characters")
    return value


def number_of(values: dict[str, Any], key: str, lowest: float, highest: float) -> float:
    """A number of a JSON object. Raises Refused."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise Refused(400, f"{key} must be a number from {lowest:g} to {highest:g}")
    return float(value)


def asked_number(request: Request, key: str, lowest: float, highest: float) -> float | None:
    """A number of the query, None if it is not there. Raises Refused."""
    text = request.query_params.get(key)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        raise Refused(400, f"{key} must be a number from {lowest:g} to {highest:g}")
    return value
