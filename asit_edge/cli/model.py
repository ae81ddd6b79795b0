"""The command line's `asit-edge model info | verify | bench`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asit_edge.cli.shared import completion
from asit_edge.cli.shared.examples import examples
from asit_edge.cli.terminal.look import look_at
from asit_edge.config.file import load_config
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError

if TYPE_CHECKING:
    from asit_edge.model.bundle import Bundle

app = typer.Typer(
    help="What is in a model bundle, is it right on this device, and how fast.",
    epilog=examples("model"),
    no_args_is_help=True,
    rich_markup_mode=None,
)

BundleArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Directory of a model bundle; without it the configured one, or the package's.",
        autocompletion=completion.bundles,
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, as for listen.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


MARKS = {"ok": "ok    ", "wrong": "WRONG ", "absent": "absent"}


@app.command(epilog=examples("model info"))
def info(bundle: BundleArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what a bundle holds, what its variants lost at their gates, and what would run it here."""
    from asit_edge.model.backends.inspection import describe

    loaded, settings = _load(bundle, config)
    facts = describe(loaded, settings)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    if look_at(sys.stdout).colours:
        from asit_edge.cli.models.tables import bundle_parts, show

        show(*bundle_parts(facts))
        return
    for line in _info_lines(facts):
        print(line)


@app.command(epilog=examples("model verify"))
def verify(bundle: BundleArgument = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Score the bundle's golden inputs here, on every backend and in every precision; fails if any is wrong.

    What was not built yet is said, and is no fault.
    """
    from asit_edge.model.backends.inspection import verify as run

    loaded, settings = _load(bundle, config)
    wrong = 0
    for verdict in run(loaded, settings):
        wrong += verdict.state == "wrong"
        if as_json:
            print(json.dumps({**vars(verdict), "passed": verdict.state == "ok"}), flush=True)
        else:
            result = verdict.problem or (
                f"differs by {verdict.error:.2g}, allowed is {verdict.allowed:.2g}; the label that strays most by "
                f"{verdict.label_error:.2g} of its spread, allowed is {verdict.label_allowed:.2g}"
            )
            print(f"{MARKS[verdict.state]} {verdict.backend:<12} {verdict.precision:<5} {result}", flush=True)
    if wrong:
        raise AsitEdgeError(f"{loaded.path}: {wrong} way(s) of running it do not give the golden scores")


@app.command(epilog=examples("model bench"))
def bench(
    bundle: BundleArgument = None,
    config: ConfigOption = None,
    batch: Annotated[list[int] | None, typer.Option(min=1, max=64, help="Streams in a step; several times.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each way is measured.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Measure a step on every backend and in every precision; `precision: auto` goes by it from then on."""
    from asit_edge.model.backends.inspection import bench as run
    from asit_edge.model.backends.inspection import fastest

    loaded, settings = _load(bundle, config)
    speeds = []
    for speed in run(loaded, settings, sorted({1, *(batch or [])}), seconds):
        speeds.append(speed)
        if as_json:
            latency = speed.latency.model_dump() if speed.latency else None
            print(json.dumps({**vars(speed), "latency": latency}), flush=True)
        elif speed.latency is None:
            print(f"{speed.backend:<12} {speed.precision:<5} {speed.problem}", flush=True)
        else:
            one = speed.latency
            print(
                f"{speed.backend:<12} {speed.precision:<5} batch {one.batch:<3} p50 {one.p50_ms:8.3f} ms  "
                f"p95 {one.p95_ms:8.3f} ms  {one.realtime:8.0f} times real time",
                flush=True,
            )
    if not as_json:
        print(fastest(speeds, settings))


def _load(bundle: Path | None, config: Path | None) -> "tuple[Bundle, Config]":
    from asit_edge.model.bundle import find_bundle, load_bundle

    settings = load_config(config)
    return load_bundle(find_bundle(bundle or settings.model)), settings


def _info_lines(facts: dict[str, Any]) -> list[str]:
    front_end, model, here = facts["front_end"], facts["model"], facts["here"]
    second = front_end["sample_rate"] / front_end["hop"]
    width = f"{front_end['mels']} mel bins" if "mels" in front_end else f"{front_end['hop']} samples each"
    shape = ", ".join(f"{key} {value}" for key, value in model.items() if key != "shape")
    lines = [
        f"{facts['name']} {facts['version']}   {facts['license']}   {facts['path']}",
        f"{model['shape']} model: {shape} ({second:.0f} frames a second, {width})",
        f"{len(facts['labels'])} labels: {'; '.join(facts['labels'])}",
    ]
    if facts["experimental"]:
        lines.append(f"experimental, reported only where they are named: {'; '.join(facts['experimental'])}")
    lines += [f"{name:<18} {size / 1e6:8.2f} MB" for name, size in facts["files"].items()]
    for name, variant in facts["variants"].items():
        lines.append(f"{name}: gate {'passed' if variant['passed'] else 'FAILED'} on {variant['data']}")
        lines += [
            f"  {key:<15} {value:>10.5f}   allowed {variant['limits'][key]:g}"
            for key, value in variant["measured"].items()
        ]
        lines.append(f"  layer that lost most: {variant['worst_layer']}")
        lines += [f"  not here: {variant['missing']}"] if variant["missing"] else []
    if facts["unchecked"]:
        names = "; ".join(facts["unchecked"])
        lines.append(f"never active in the golden inputs, so only their logits are checked: {names}")
    lines += [f"{part}: {key}: {value}" for part in ("training", "metrics") for key, value in facts[part].items()]
    lines.append(f"here: ONNX Runtime ({', '.join(here['onnxruntime'])}) would run {here['onnxruntime_precision']}")
    lines.append(f"here: {here['tensorrt']}")
    return lines
