"""`asit-edge init`."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from asit_edge.config.file import SYSTEM_CONFIG
from asit_edge.config.secrets import read_secret
from asit_edge.errors import WrongUse, for_shell, readable
from asit_edge.host.directories import config_directory


def init(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The file to write; without it ~/.config/asit-edge/config.yaml, for root that in /etc/asit-edge.",
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Name of this box; without it the host name.")] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Microphone (number, part of its name, usb:VENDOR:PRODUCT, default), or a stream's address."),
    ] = None,
    broker: Annotated[str | None, typer.Option(help="MQTT broker, host or host:port; none: without one.")] = None,
    username: Annotated[str | None, typer.Option(help="At the broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File whose first line is the password at the broker.")
    ] = None,
    tls: Annotated[
        bool | None, typer.Option("--tls/--no-tls", help="Encrypted to the broker.", show_default=False)
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Only this sound, or what of a name will do; may be repeated.")
    ] = None,
    clips: Annotated[
        bool | None, typer.Option("--clips/--no-clips", help="Keep recordings of events.", show_default=False)
    ] = None,
    check: Annotated[bool, typer.Option(help="Listen to the source and connect to the broker first.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also where the file is there.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: options and defaults.")] = False,
) -> None:
    """Write a configuration: asks in a terminal for what no option says, and tries what it is told."""
    from asit_edge.cli.setup.asking import Interview
    from asit_edge.setup.answers import Answers
    from asit_edge.setup.draft import drafted
    from asit_edge.setup.writing import writable, write

    path = (config or (SYSTEM_CONFIG if os.geteuid() == 0 else config_directory() / "config.yaml")).absolute()
    asks = not yes and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if path.exists() and not overwrite and not (asks and typer.confirm(f"{path} is there; write it anew?")):
        raise WrongUse(f"{path}: is there already; --overwrite writes it anew, --config names another")
    writable(path)
    interview = Interview(asks, check)
    answers = Answers(device=device, source=interview.source(source), clips=clips)
    password = read_secret(password_file, "--password-file") if password_file else None
    answers.mqtt, answers.mqtt_password = interview.broker(broker, _more(username, tls), password)
    answers.labels = interview.labels(label)
    if clips is None and asks:
        answers.clips = typer.confirm("keep recordings of what is reported?")
    files = drafted(answers, path)
    write(files)
    for file in files:
        print(f"wrote {readable(file.path)}{' (for its owner alone)' if file.mode == 0o600 else ''}")
    named = "" if path == SYSTEM_CONFIG else f" --config {for_shell(path if config is None else config)}"
    print(f"next: asit-edge listen{named}\n      asit-edge service install{named}")


def _more(username: str | None, tls: bool | None) -> dict[str, Any]:
    """Keys of `mqtt` beside host and port."""
    more: dict[str, Any] = {} if username is None else {"username": username}
    if tls is not None:
        more["tls"] = {"enabled": tls}
    return more
