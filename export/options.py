"""Options that `export.bundle` and `export.variants` share."""

from typing import Annotated

import typer

PrecisionOption = Annotated[list[str], typer.Option(help="fp16, int8; may be given several times.")]
LimitOption = Annotated[list[str], typer.Option(help="Another limit than the usual one, as max_error=0.2.")]
ForceOption = Annotated[bool, typer.Option(help="Write variants that fail their gate; nothing picks them by itself.")]
