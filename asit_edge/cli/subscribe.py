"""`asit-edge subscribe`."""

import re
import shlex
import shutil
import sys
from typing import Annotated

import typer

from asit_edge.cli.options import ConfigOption, stop_on_signals
from asit_edge.config.file import load_config
from asit_edge.errors import WrongUse


def subscribe(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="The broker; without it, that of the configuration.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Its port.")] = None,
    device: Annotated[str, typer.Option(help="Only this device.")] = "+",
    source: Annotated[str, typer.Option(help="Only this source.")] = "+",
    label: Annotated[list[str] | None, typer.Option(help="Only this label; may be repeated.")] = None,
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
    from asit_edge.cli.following import Filter
    from asit_edge.cli.following import follow as run

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
    run(
        mqtt,
        Filter(frozenset(one.casefold() for one in label or []), min_score),
        sys.stdout,
        stopping.is_set,
        device=device,
        source=source,
        command=arguments,
        as_json=as_json,
        count=count,
        client_id=client_id,
    )
