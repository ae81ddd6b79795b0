"""`python -m export.weights CKPT FILE.safetensors`: weights to give away, for others to begin from.

Half the size of a checkpoint or less: float16, without what only the run that made it needs. Every command reads the
file as it reads the checkpoint; labels and settings are in it, nothing in it can be executed.
"""

from pathlib import Path
from typing import Annotated

import typer

from asit_edge.errors import WrongUse
from trainer.run.checkpoint import read_content, save_portable
from trainer.run.command import run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill.")],
    out: Annotated[Path, typer.Argument(help="File to write, .safetensors.")],
) -> None:
    """Write a checkpoint's weights, labels and settings as one safetensors file."""
    if out.suffix != ".safetensors":
        raise WrongUse(f"{out}: must end in .safetensors")
    content = read_content(checkpoint)
    if "labels" not in content:
        raise WrongUse(f"{checkpoint}: is a {content.get('kind')!r} checkpoint, which has no labels to give away")
    save_portable(out, content)
    print(f"wrote {out}: {len(content['labels'])} labels, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run("export.weights", main)
