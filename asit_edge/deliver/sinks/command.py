"""Events to a program: run once for each, with the event's JSON on standard input and its main facts in variables.

Exit code 0 means that it has the event, 75 (EX_TEMPFAIL) that it wants it later; any other is a refusal.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

from asit_edge.config.delivery import CommandSink
from asit_edge.deliver.sinks.base import Refused, Send, Unavailable
from asit_edge.errors import WrongUse, one_line
from asit_edge.messages.event import Event

TRY_LATER = 75


def open_command(settings: CommandSink) -> Send:
    """Raises WrongUse if there is no such program."""
    if shutil.which(settings.run[0]) is None:
        raise WrongUse(f"sinks.{settings.name}.run: no program {settings.run[0]!r} that can be executed")
    return lambda payload: run_for(payload, settings.run, settings.timeout)


def run_for(payload: str, command: Sequence[str], timeout: float | None) -> None:
    """Runs a program for one event. Raises Unavailable or Refused."""
    event = Event.model_validate_json(payload)
    facts = {
        "ASIT_TYPE": event.type,
        "ASIT_ID": event.id,
        "ASIT_DEVICE": event.device,
        "ASIT_SOURCE": event.source,
        "ASIT_LABEL": event.label,
        "ASIT_PEAK": str(event.peak),
        "ASIT_ONSET": event.onset,
    }
    try:
        done = subprocess.run(
            command,
            input=payload + "\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout,
            env=os.environ | {name: fact.replace("\0", "") for name, fact in facts.items()},  # others' may have one
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{command[0]} took longer than {timeout:g} s and was killed") from None
    except OSError as error:
        raise Unavailable(f"{command[0]}: {one_line(error)}") from None
    if done.returncode == 0:
        return
    words = one_line(done.stderr)[-200:]
    outcome = f"{command[0]} ended with {done.returncode}" + (f": {words}" if words else "")
    raise (Unavailable if done.returncode == TRY_LATER else Refused)(outcome)
