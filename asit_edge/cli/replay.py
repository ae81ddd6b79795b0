"""`asit-edge replay`."""

from pathlib import Path
from typing import Annotated

import typer

from asit_edge.audio.clock import parse_iso
from asit_edge.cli.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import AsitEdgeError, WrongUse


def replay(
    file: Annotated[Path, typer.Argument(help="Audio file.")],
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
    start: Annotated[
        str, typer.Option(help="When the recording began, ISO 8601, UTC unless it says otherwise.")
    ] = "1970-01-01T00:00:00Z",
    publish: Annotated[bool, typer.Option(help="Also send the events to the configured broker.")] = False,
) -> None:
    """Send a recording through the pipeline; the result is the same, byte for byte, every time."""
    from asit_edge.assembly import load_model
    from asit_edge.deliver.sinks.base import MQTT
    from asit_edge.deliver.sinks.mqtt import MqttSink
    from asit_edge.listen.replay import replay as run
    from asit_edge.mqtt.topics import Topics
    from asit_edge.store.store import Store

    settings = load_settings(config, model)
    try:
        began = parse_iso(start)
    except ValueError:
        raise WrongUse(f"--start {start!r}: not an ISO 8601 time such as 2026-05-01T03:00:00Z") from None
    if publish and settings.mqtt.host is None:
        raise WrongUse("--publish needs a broker: set mqtt.host in the configuration")
    loaded = load_model(settings)
    store = Store(None, sinks={MQTT: lambda _: True} if publish else {})
    topics = Topics(settings.mqtt.prefix, settings.device_name)
    sink = MqttSink(settings.mqtt, topics, store) if publish else None
    if sink:
        sink.start()
        if not sink.first_attempt(15):
            raise AsitEdgeError(sink.problem or "no connection to the broker")
    for event in run(file, loaded, settings.device_name, store, began, settings.events.quiet_hours):
        if sink:
            sink.wake()
        if as_json:
            print(event.to_json())
        else:
            span = f"{event.onset} to {event.offset}" if event.offset else event.onset
            print(f"{event.type:<6} {event.label:<30} peak {event.peak:.2f}  {span}")
    if sink:
        delivered = sink.drain(60)
        sink.stop()
        if refused := store.refusals():
            raise AsitEdgeError(
                f"the broker refused {len(refused)} message(s), first {refused[0].topic}: {refused[0].reason}"
            )
        if not delivered:
            raise AsitEdgeError(
                f"{store.count_waiting()} message(s) not delivered ({sink.problem or 'no answer in time'})"
            )
