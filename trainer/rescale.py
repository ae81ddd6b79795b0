"""Scores of different labels made comparable: `python -m trainer.rescale CKPT --scenes POOL --out CKPT`.

Between `trainer.distill` and `trainer.thresholds`. What it does and why, `trainer/distillation/rescaling.py` says.
"""

from pathlib import Path
from typing import Annotated

import typer

from trainer.distillation.pool import open_pool
from trainer.distillation.rescaling import rescale
from trainer.run.command import Threads, run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.distill.")],
    scenes: Annotated[list[Path], typer.Option(help="Pool of scenes, validation's first; repeat.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
    most: Annotated[int, typer.Option(min=1, help="Scenes of each that are heard, at most.")] = 1024,
    threads: Threads = 0,
) -> None:
    """Scale each label's scores so that they say how likely the label sounds."""
    found = rescale(checkpoint, [open_pool(folder) for folder in scenes], most, out)
    factors = sorted(one.factor for one in found.values())
    middle = factors[len(factors) // 2]
    print(
        f"wrote {out}: {len(found)} labels, logits times {factors[0]:.2f} to {factors[-1]:.2f} (half of them below "
        f"{middle:.2f}), shifted by {min(s for _, s in found.values()):.2f} to {max(s for _, s in found.values()):.2f}"
    )


if __name__ == "__main__":
    run("trainer.rescale", main)
