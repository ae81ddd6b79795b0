"""`python -m export.golden BUNDLE`: golden inputs on which the bundle's labels are active, made from the bundle itself.

Real and made sounds are varied until labels answer; what the bundle's own fp32 model says of them is what every device,
precision and engine is held to. Needs neither a checkpoint nor the sounds that the model was trained on.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from export.golden import TRIES
from trainer.run.command import run


def main(
    bundles: Annotated[list[Path], typer.Argument(help="Directories of bundles; they are changed in place.")],
    tries: Annotated[int, typer.Option(min=0, help="Sounds that are tried.")] = TRIES,
    as_json: Annotated[bool, typer.Option("--json", help="A line a bundle, as JSON.")] = False,
) -> None:
    """Make a bundle's golden inputs anew. Nothing is changed if its model does not give the golden scores it has."""
    from export.golden.write import write_golden  # needs onnx, which `run` says where it is missing

    for bundle in bundles:
        made = write_golden(bundle, tries)
        if as_json:
            facts = {"active": made.active, "unchecked": made.unchecked, "bytes": made.bytes}
            print(json.dumps({"bundle": str(bundle), "inputs": len(made.inputs), **facts}, ensure_ascii=False))
            continue
        labels = len(made.active) + len(made.unchecked)
        print(f"{bundle}: {len(made.inputs)} golden inputs, {made.bytes / 1e3:.0f} kB")
        print(
            f"{len(made.active)} of {labels} labels are active in them; unchecked: {'; '.join(made.unchecked) or '-'}"
        )


if __name__ == "__main__":
    run("export.golden", main)
