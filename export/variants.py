"""`python -m export.variants BUNDLE --data AUDIO`: fp16 and int8 models for a bundle, each behind its gate.

Works from the bundle's ONNX file, so no checkpoint and no torch is needed. Without `--data` it makes, on the device,
what the lab has judged and left out (`--leave-out`).
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from export.options import (
    LOWER,
    MOST_CLIPS,
    ForceOption,
    KeepOption,
    LeaveOutOption,
    LimitOption,
    PrecisionOption,
    UnheardOption,
)
from trainer.run.command import run


def main(
    bundle: Annotated[Path, typer.Argument(help="Directory of a model bundle; it is changed in place.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recordings, or a data set in the ESC-50 layout. Without: make what the bundle leaves out."
        ),
    ] = None,
    precision: PrecisionOption = list(LOWER),  # noqa: B006
    limit: LimitOption = [],  # noqa: B006
    clips: Annotated[int, typer.Option(min=4, help="Recordings to use at most.")] = MOST_CLIPS,
    unheard: UnheardOption = False,
    keep: KeepOption = [],  # noqa: B006
    leave_out: LeaveOutOption = False,
    force: ForceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="The measurements, one variant a line.")] = False,
) -> None:
    """Add fp16 and int8 models to a bundle. What loses more than its gate allows is not written."""
    if data is None:  # what is imported here needs onnx: `run` says if it is missing
        from export.precisions.left_out import make_left_out

        made = make_left_out(bundle)
        told = f"made {', '.join(made)}" if made else "has all of its models already"
        print(f"{bundle}: {told}")
        return
    from export.audio import read_audio
    from export.lowering import parse_limits, parse_precisions, write_variants

    wanted, limits = parse_precisions(precision), parse_limits(limit)
    for one in write_variants(bundle, wanted, read_audio(data, clips), limits, force, unheard, keep, leave_out):
        if as_json:
            print(json.dumps({"precision": one.precision, **one.gate.model_dump(), "layers": one.layers}))
        else:
            print(one.report())


if __name__ == "__main__":
    run("export.variants", main)
