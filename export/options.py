"""Options that `export.bundle` and `export.variants` share."""

from typing import Annotated, Literal

import typer

Lower = Literal["fp16", "int8"]
LOWER: dict[str, Lower] = {"fp16": "fp16", "int8": "int8"}

MOST_CLIPS = 400
"""Recordings that are used unless more are asked for."""

PrecisionOption = Annotated[list[str], typer.Option(help="fp16, int8; may be given several times.")]
LimitOption = Annotated[list[str], typer.Option(help="Another limit than the usual one, as max_error=0.2.")]
UnheardOption = Annotated[
    bool, typer.Option("--unheard", help="Go on without labels that are never active in the recordings.")
]
KeepOption = Annotated[
    list[str], typer.Option(help="Layers that int8 leaves in float32, by a part of their names; several times.")
]
LeaveOutOption = Annotated[
    bool,
    typer.Option("--leave-out", help="Record fp16 without its file, for a small bundle; it is made on the device."),
]
ForceOption = Annotated[bool, typer.Option(help="Write variants that fail their gate; nothing picks them by itself.")]
