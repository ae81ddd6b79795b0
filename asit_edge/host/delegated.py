"""Work that a service has another unit of systemd do: one with a control group, and so a memory limit, of its own.

A service without privileges starts no unit. It puts a request into a folder, at which a path unit looks
(`PathExists=`), and waits for the answer. The unit that is started claims the request, does the work and answers; what
systemd runs after it (`ExecStopPost=`) answers in its place where it was ended.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from asit_edge.errors import AsitEdgeError
from asit_edge.host.files import read_object, write_whole

REQUEST, CLAIMED, ANSWER = "request.json", "claimed.json", "answer.json"

PATIENCE = 30.0
"""Seconds in which the unit must have begun."""
LONGEST = 2 * 3600.0
"""Seconds until an answer is given up."""
EVERY = 0.25
"""Seconds between looks."""


class NobodyBegins(AsitEdgeError):
    """No unit looks at the folder."""


def ask(folder: Path, work: Mapping[str, Any], patience: float = PATIENCE, longest: float = LONGEST) -> None:
    """Has the work done, and waits for it.

    Raises NobodyBegins where no unit begins, AsitEdgeError with the unit's words where it could not be done.
    """
    request, name = folder / REQUEST, secrets.token_hex(8)
    write_whole(request, json.dumps({"name": name, "work": work}).encode())
    began = time.monotonic()
    while request.exists():
        if time.monotonic() - began > patience:
            request.unlink(missing_ok=True)
            raise NobodyBegins(f"{request}: no unit has begun with it in {patience:g} s")
        time.sleep(EVERY)
    while time.monotonic() - began < longest:
        answer = read_object(folder / ANSWER)
        if answer.get("name") == name:
            (folder / ANSWER).unlink(missing_ok=True)
            if problem := str(answer.get("problem", "")):
                raise AsitEdgeError(problem)
            return
        time.sleep(EVERY)
    raise AsitEdgeError(f"{folder}: the unit that has begun did not answer in {longest:g} s")


def do_asked(folder: Path, do: Callable[[Mapping[str, Any]], None]) -> None:
    """In the unit: does what is asked, and answers. Nothing where nothing is asked.

    Raises AsitEdgeError, once it is answered, if the work could not be done.
    """
    try:
        os.replace(folder / REQUEST, folder / CLAIMED)
    except FileNotFoundError:
        return
    try:
        do(dict(read_object(folder / CLAIMED).get("work") or {}))
    except AsitEdgeError as error:
        _answer(folder, str(error))
        raise
    _answer(folder, "")


def answer_for_the_ended(folder: Path, environment: Mapping[str, str]) -> None:
    """After the unit: where it was ended before it had answered, says so.

    `environment` has what systemd says of its end (systemd.exec(5), SERVICE_RESULT).
    """
    if (folder / CLAIMED).exists():
        result = environment.get("SERVICE_RESULT", "unknown")
        why = "ran out of memory" if result == "oom-kill" else f"was ended ({result})"
        _answer(folder, f"the builder {why}; see journalctl -u asit-edge-build")


def _answer(folder: Path, problem: str) -> None:
    name = read_object(folder / CLAIMED).get("name", "")
    write_whole(folder / ANSWER, json.dumps({"name": name, "problem": problem}).encode())
    (folder / CLAIMED).unlink(missing_ok=True)
