"""The command line: `asit-edge listen | replay | subscribe | events | tag | model | devices | schema | demo`.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly. Errors are one line on stderr.
"""

import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import threading
import time
from enum import Enum
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads: its products here are too small to share

import typer

from asit_edge import __version__, cli_model
from asit_edge.clock import parse_iso
from asit_edge.config import Config, MicrophoneSource, StdinSource, load_config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.validation import nearest

app = typer.Typer(
    help="Listens for sounds and tells over MQTT what it heard.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(cli_model.app, name="model")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; without it /etc/asit-edge/config.yaml."),
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", "-m", help="Directory of a model bundle, or the name of one in the package.")
]


class PcmFormat(str, Enum):
    s16le = "s16le"
    s32le = "s32le"
    f32le = "f32le"
    u8 = "u8"


@app.command()
def listen(
    config: ConfigOption = None,
    model: ModelOption = None,
    microphone: Annotated[
        str | None, typer.Option(help="Number or name of an input device, instead of the configured sources.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Raw samples on standard input, instead.")] = False,
    rate: Annotated[int, typer.Option(min=4_000, max=384_000, help="Of standard input, in Hz.")] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=64, help="Of standard input.")] = 1,
    form: Annotated[PcmFormat, typer.Option("--format", help="Of standard input.")] = PcmFormat.s16le,
) -> None:
    """Listen until stopped; print events as JSON lines and publish them to the configured broker."""
    from asit_edge.memory import return_freed_memory

    return_freed_memory()
    from asit_edge.listen import listen as run

    settings = _settings(config, model)
    if stdin and microphone is not None:
        raise WrongUse("--stdin and --microphone exclude each other: name one source")
    if stdin:
        pipe = {"rate": rate, "channels": channels, "format": form.value}
        settings = settings.model_copy(update={"sources": [StdinSource.model_validate(pipe)]})
    if microphone is not None:
        device = int(microphone) if microphone.isdecimal() else microphone
        settings = settings.model_copy(update={"sources": [MicrophoneSource(device=device)]})
    stopping = _stopping()
    run(settings, sys.stdout, stopping.is_set, stopping.wait)


@app.command()
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
    from asit_edge.replay import replay as run
    from asit_edge.sinks import mqtt
    from asit_edge.store import Store
    from asit_edge.topics import Topics

    settings = _settings(config, model)
    try:
        began = parse_iso(start)
    except ValueError:
        raise WrongUse(f"--start {start!r}: not an ISO 8601 time such as 2026-05-01T03:00:00Z") from None
    if publish and settings.mqtt.host is None:
        raise WrongUse("--publish needs a broker: set mqtt.host in the configuration")
    loaded = load_model(settings)
    store = Store(None, sinks={mqtt.NAME: lambda _: True} if publish else {})
    topics = Topics(settings.mqtt.prefix, settings.device_name)
    sink = mqtt.MqttSink(settings.mqtt, topics, store) if publish else None
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


@app.command()
def tag(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One file a line, as JSON.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many labels.")] = 5,
) -> None:
    """Score whole clips: which labels fit, the best first. Files that cannot be read are named; the rest are scored."""
    from asit_edge.assembly import load_model
    from asit_edge.tag import tag as run

    loaded = load_model(_settings(config, model))
    names = [label.name for label in loaded.manifest.labels]
    worst = 0
    for file in files:
        try:
            scores = run(file, loaded)
        except AsitEdgeError as error:
            print(f"asit-edge: error: {error}", file=sys.stderr)
            worst = max(worst, error.exit_code)
            continue
        best = sorted(range(len(names)), key=lambda index: -scores[index])[:top]
        if as_json:
            ranked = [{"label": names[index], "score": round(float(scores[index]), 4)} for index in best]
            print(json.dumps({"file": str(file), "scores": ranked}, ensure_ascii=False), flush=True)
        else:
            print(f"{file}: " + ", ".join(f"{names[index]} {scores[index]:.2f}" for index in best), flush=True)
    if worst:
        raise typer.Exit(worst)


@app.command()
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
    from asit_edge.subscribe import Filter
    from asit_edge.subscribe import subscribe as run

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
    stopping = _stopping()
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


@app.command()
def events(
    config: ConfigOption = None,
    since: Annotated[str | None, typer.Option(help="30m, 12h, 7d ago, or an ISO 8601 time.")] = None,
    label: Annotated[str | None, typer.Option(help="Only this label.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
) -> None:
    """Read the events that are stored on this device."""
    from asit_edge.history import history, parse_since
    from asit_edge.subscribe import describe

    path = load_config(config).store.effective_path
    start = parse_since(since, time.time()) if since is not None else None
    stopping = _stopping() if follow else None
    going_on = (lambda: not stopping.is_set()) if stopping else None
    for event in history(path, since=start, label=label, source=source, follow=going_on):
        print(event.to_json() if as_json else describe(event), flush=follow)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="event, bundle, config, gap, status, level, health or error.")],
) -> None:
    """Print the JSON Schema of a payload, of bundle.yaml or of config.yaml."""
    from asit_edge.schema import MODELS
    from asit_edge.schema import schema as of

    if name not in MODELS:
        raise WrongUse(f"no schema {name!r}{nearest(name, list(MODELS))}")
    print(json.dumps(of(name), indent=2, ensure_ascii=False))


def _stopping() -> threading.Event:
    """Set when somebody wants this process to end."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


@app.command()
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="One device a line, as JSON.")] = False,
) -> None:
    """List the input devices; the default one is marked with a star."""
    from asit_edge.sources.microphone import input_devices

    found = input_devices()
    for device in found:
        if as_json:
            print(json.dumps(device, ensure_ascii=False))
        else:
            mark = "*" if device["default"] else " "
            facts = f"{device['api']}, {device['channels']} in, {device['rate']} Hz"
            facts += f", {device['usb']}" if device["usb"] else ""
            print(f"{mark} {device['index']:>3}  {device['name']}  ({facts})")
    if not found and not as_json:
        print(
            "no input devices; is a microphone plugged in, and may this user record (group audio)?",
            file=sys.stderr,
        )


@app.command()
def demo() -> None:
    """Hear the bundled recording and receive its events from an embedded MQTT broker."""
    from asit_edge.demo import demo as run

    run()


def _version(wanted: bool) -> None:
    if wanted:
        print(f"asit-edge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    # On a descriptor of its own: PortAudio's initialisation points standard error at /dev/null for as long as it takes.
    stream = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
    logging.basicConfig(stream=stream, level=logging.INFO, format="asit-edge: %(message)s")
    logging.addLevelName(logging.WARNING, "warning")
    logging.getLogger("asit_edge").setLevel(logging.DEBUG if verbose else logging.INFO)


def _settings(config: Path | None, model: Path | None) -> Config:
    settings = load_config(config)
    return settings.model_copy(update={"model": model}) if model else settings


def main() -> None:
    """The console script."""
    try:
        app()
    except AsitEdgeError as error:
        print(f"asit-edge: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); nothing is wrong on this side.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
