"""`python -m export.onnx CKPT FILE`: the bare ONNX model of a checkpoint, for other runtimes than ours.

`export.bundle` is for devices.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import onnx
import typer

from export.bundling import write_bundle
from export.conversion import OPSET, fix_batch
from trainer.run.command import run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill.")],
    out: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    batch: Annotated[int | None, typer.Option(min=1, help="A fixed batch; without it the batch is dynamic.")] = None,
) -> None:
    """Write a checkpoint as a bare ONNX model; nothing is written unless it computes what the checkpoint does."""
    with tempfile.TemporaryDirectory() as scratch:
        write_bundle(checkpoint, Path(scratch) / "bundle", "model", "0", "unknown", {}, 0.5, 0.3)
        model = onnx.load(str(Path(scratch) / "bundle" / "model.onnx"))
    if batch is not None:
        fix_batch(model, batch)
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(out))
    names = [entry.name for entry in model.graph.input]
    print(f"wrote {out}: opset {OPSET}, inputs {', '.join(names)}, batch {batch or 'dynamic'}")


if __name__ == "__main__":
    run("export.onnx", main)
