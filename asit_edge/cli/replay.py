"""`asit-edge replay`."""

import logging
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.audio.clock import parse_iso
from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.cli.terminal.look import look_at
from asit_edge.errors import WrongUse

log = logging.getLogger(__name__)

EPOCH = "1970-01-01T00:00:00Z"
"""When recordings began of which nothing is known."""


def replay(
    file: Annotated[Path, typer.Argument(help="Audio file.")],
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
    start: Annotated[
        str | None,
        typer.Option(help="When the recording began, ISO 8601, UTC unless it says otherwise.", show_default=EPOCH),
    ] = None,
    publish: Annotated[bool, typer.Option(help="Also send the events to the configured broker.")] = False,
) -> None:
    """Send a recording through the pipeline; the result is the same, byte for byte, every time."""
    from asit_edge.assembly import load_model
    from asit_edge.audio.sources.name_time import time_in_name
    from asit_edge.listen.replay import replay as run
    from asit_edge.messages.lines import describe_briefly
    from asit_edge.store.store import Store

    settings = load_settings(config, model)
    try:
        began = parse_iso(EPOCH if start is None else start)
    except ValueError:
        raise WrongUse(f"--start {start!r}: not an ISO 8601 time such as 2026-05-01T03:00:00Z") from None
    if publish and settings.mqtt.host is None:
        raise WrongUse("--publish needs a broker: set mqtt.host in the configuration")
    if start is None and (named := time_in_name(file.stem)):
        zone = "" if named[19:] else " (UTC; put a zone such as +02:00 behind it if that is another)"
        log.info("%s: its name says when it began, but times count from 1970 without%s: --start %s", file, zone, named)
    loaded = load_model(settings)
    with ExitStack() as stack:
        store, sent = Store(None), None
        if publish:
            from asit_edge.deliver.publishing import published

            store, sent = stack.enter_context(published(settings.mqtt, settings.device_name))
        observer = None
        if not as_json and look_at(sys.stdout).moves:
            from asit_edge.cli.terminal.replaying import shown_live

            observer = stack.enter_context(shown_live(sys.stdout, settings, file.name, dated=start is not None))
        for event in run(file, loaded, settings.device_name, store, began, settings.events.quiet_hours, observer):
            if sent:
                sent()
            if observer is None:
                print(event.to_json() if as_json else describe_briefly(event))
