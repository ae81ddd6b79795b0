"""`asit-edge subscribe`."""

import re
import shlex
import shutil
import sys
from enum import Enum
from typing import Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.options import ConfigOption, stop_on_signals
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.errands import Errands

FIRST_ATTEMPT = 15.0
"""Seconds that the first connection may take."""

MOST_WAITING = 1_000
"""Events that wait for the program of `--exec` at most."""

LAST_RUN = 1.0
"""Seconds that the program gets when this is to end."""


class MessageType(str, Enum):
    new = "new"
    update = "update"
    end = "end"


def subscribe(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The broker; without it, that of the configuration.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Its port.")] = None,
    device: Annotated[str, typer.Option(help="Only this device.")] = "+",
    source: Annotated[str, typer.Option(help="Only this source.", autocompletion=completion.sources)] = "+",
    label: Annotated[
        list[str] | None,
        typer.Option(help="Only this label; may be repeated.", autocompletion=completion.labels),
    ] = None,
    kind: Annotated[
        list[MessageType] | None, typer.Option("--type", help="Only such messages; may be repeated.")
    ] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Only events whose peak reaches this.")] = 0.0,
    command: Annotated[
        str | None, typer.Option("--exec", help="Run this for every event, with its JSON on standard input.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    client_id: Annotated[
        str | None, typer.Option(help="With a name, the broker keeps what comes while this subscriber is away.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
) -> None:
    """Follow events over MQTT: each once, reconnecting as needed, told what was not heard and who is away."""
    from asit_edge.cli.following import Filter, Follower
    from asit_edge.mqtt.client import Client

    mqtt = load_config(config).mqtt
    if host is not None or port is not None:
        mqtt = mqtt.model_copy(update={"host": host or mqtt.host, "port": port})
    if mqtt.host is None:
        raise WrongUse("which broker? give --host, or set mqtt.host in the configuration")
    for name, given in (("--device", device), ("--source", source)):
        if given != "+" and not re.fullmatch(r"[A-Za-z0-9_-]+", given):
            raise WrongUse(f"{name} {given!r}: letters, digits, _ and - only")
    try:
        arguments = shlex.split(command) if command else []
    except ValueError as error:
        raise WrongUse(f"--exec {command!r}: {error}") from None
    if arguments and shutil.which(arguments[0]) is None:
        raise WrongUse(f"--exec: no program {arguments[0]!r} that can be executed")
    stopping = stop_on_signals()
    wanted = Filter(frozenset(map(str.casefold, label or [])), min_score, frozenset(one.value for one in kind or []))
    errands = Errands("--exec", MOST_WAITING, "the program is slower than events come")
    follower = Follower(wanted, sys.stdout, command=arguments, as_json=as_json, count=count, soon=errands.do)
    client = Client(
        mqtt,
        client_id=client_id,
        device=device,
        source=source,
        on_event=follower.on_event,
        on_gap=follower.on_gap,
        on_status=follower.on_status,
        on_availability=follower.on_availability,
    )
    with client:
        # Without a broker at first this ends; later the connection is found again however long it takes.
        if not client.subscribed(FIRST_ATTEMPT):
            raise AsitEdgeError(client.problem or "no connection to the broker")
        while not stopping.is_set() and not follower.enough.is_set():
            client.wait(0.1)
    while errands.waiting and not stopping.is_set():
        stopping.wait(0.05)
    errands.stop(LAST_RUN if stopping.is_set() else 0)
