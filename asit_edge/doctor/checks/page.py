"""The page: served by the listener that runs, or a port that it could be served on."""

import http.client
import json
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

from asit_edge.config.web import WebSettings
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import readable
from asit_edge.web.guards.access import read_token

ANSWER_SECONDS = 5.0
MOST = 1 << 16
"""Bytes of an answer."""


def look(patient: Patient) -> Iterator[Finding]:
    web = patient.config.web
    if not web.enabled:
        yield Finding("page", "ok", "none is configured")
        return
    yield from page_findings(web, patient.listener)


def page_findings(web: WebSettings, listener: int | None) -> Iterator[Finding]:
    """Raises WrongUse where the token cannot be read, or is none."""
    host, port = web.host, web.port
    if web.token_file is None and not web.loopback and web.ingress is None:
        found = f"web.host {host}: other machines reach it, and there is no web.token_file"
        remedy = "set web.token_file, or web.host: 127.0.0.1"
        yield Finding("page", "wrong", found, "asit-edge listen does not start", remedy)
        return
    read_token(web)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if listener is not None:
        yield _served(host, port, where, web.token_file)
    elif (taken := _taken(host, port)) is not None:
        found = f"{where}: cannot be served on ({taken})"
        yield Finding("page", "wrong", found, "there will be no page", f"ss -ltnp 'sport = :{port}'    # who has it")
    else:
        yield Finding("page", "ok", f"{where}: free for a listener")


def _served(host: str, port: int, where: str, token_file: Path | None) -> Finding:
    """What the listener that runs says of itself: with a token only whether all is well, since whoever has the port
    instead of it is not to learn the token.
    """
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(near, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        status, body = response.status, response.read(MOST)
    except (OSError, http.client.HTTPException) as error:
        found = f"{where}: a listener runs, and its page does not answer ({error or type(error).__name__})"
        return Finding("page", "wrong", found, "nothing can be looked at there", "journalctl -u asit-edge -n 50")
    finally:
        connection.close()
    if status == 200:
        return Finding("page", "ok", f"http://{where}: served, and the listener says that all is well")
    if status != 503:
        found = f"{where}: answers {status} to /healthz; is it another program's?"
        return Finding("page", "warning", found, "", f"ss -ltnp 'sport = :{port}'    # who has it")
    said = _problems(body) or ("something is wrong; why, it tells whoever has the token" if token_file else "")
    bearer = f'-H "Authorization: Bearer $(head -n 1 {shlex.quote(str(token_file))})" ' if token_file else ""
    address = f"[{near}]:{port}" if ":" in near else f"{near}:{port}"
    remedy = f"curl -s {bearer}http://{address}/healthz"
    return Finding("page", "warning", f"the listener says: {said or 'something is wrong'}", "", remedy)


def _problems(body: bytes) -> str:
    try:
        told = json.loads(body)
        return readable("; ".join(str(one) for one in told.get("problems", [])))
    except (ValueError, AttributeError, TypeError):
        return ""


def _taken(host: str, port: int) -> str | None:
    """Why nothing can be served there; None if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None
