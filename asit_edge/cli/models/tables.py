"""Tables for a terminal, as wide as it is."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from asit_edge.cli.terminal.event_line import colour_of
from asit_edge.cli.terminal.look import look_at
from asit_edge.errors import readable

NUMBERS = {"on", "off", "AP", "missed", "false/h", "sounds"}
"""Columns that are aligned to the right."""

WIDE, MIDDLE = 80, 56
"""Columns of a terminal from which on everything, and more than the threshold, is shown."""


def show(*parts: RenderableType) -> None:
    """On standard output."""
    console = Console(
        file=sys.stdout, highlight=False, markup=False, emoji=False, safe_box=not look_at(sys.stdout).blocks
    )
    for part in parts:
        console.print(part)


def label_table(columns: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str]) -> Table:
    """One row a label, in its colour; in a narrow terminal without what can be done without."""
    width = Console(file=sys.stdout).width
    shown = [
        place
        for place, name in enumerate(columns)
        if width >= WIDE or name in ("label", "on") or (width >= MIDDLE and name in ("from", "", "AP"))
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place in shown:
        name = columns[place]
        table.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=name in NUMBERS)
    for row, name in zip(rows, names, strict=True):
        table.add_row(*(Text(row[place], f"bold {colour_of(name)}" if not place else "") for place in shown))
    return table


def bundle_parts(facts: Mapping[str, Any]) -> list[RenderableType]:
    """What `model info` shows of a bundle."""
    front_end, model, here = facts["front_end"], facts["model"], facts["here"]
    second = front_end["sample_rate"] / front_end["hop"]
    width = f"{front_end['mels']} mel bins" if "mels" in front_end else f"{front_end['hop']} samples each"
    shape = ", ".join(f"{key} {value}" for key, value in model.items() if key not in ("shape", "caches") and value)
    caches = f", {len(model['caches'])} caches" if model.get("caches") else ""
    overview = _pairs(
        {
            "folder": facts["path"],
            "licence": facts["license"],
            "model": f"{model['shape']}: {shape}{caches}",
            "hears": f"{front_end['sample_rate']} Hz, {second:.0f} frames a second, {width}",
            "labels": f"{len(facts['labels'])}, {len(facts['experimental'])} of them experimental; "
            f"asit-edge labels --all shows them",
            "runs here": f"ONNX Runtime ({', '.join(here['onnxruntime'])}) in {here['onnxruntime_precision']}",
            "TensorRT": here["tensorrt"],
        }
    )
    parts: list[RenderableType] = [Text(f"{facts['name']} {facts['version']}", "bold"), overview]
    sizes = _titled("files", "file", "MB")
    for name, size in facts["files"].items():
        sizes.add_row(name, f"{size / 1e6:.2f}")
    parts.append(sizes)
    for name, variant in facts["variants"].items():
        passed = variant["passed"]
        gate = _titled(f"{name}: what it lost, {variant['data']}", "measure", "lost", "allowed")
        for key, value in variant["measured"].items():
            gate.add_row(key, f"{value:.5f}", f"{variant['limits'][key]:g}")
        gate.add_row("gate", Text("passed" if passed else "FAILED", "green" if passed else "bold red"), "")
        gate.add_row("worst layer", variant["worst_layer"], "")
        parts.append(gate)
    for part in ("training", "metrics"):
        if facts[part]:
            parts += [Text(part, "bold"), _pairs(facts[part])]
    return parts


def _pairs(facts: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(readable(name)), Text(readable(value)))
    return table


def _titled(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(readable(title), "bold"), title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", overflow="fold")
    return table
