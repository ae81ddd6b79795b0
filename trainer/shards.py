"""Whether shards are what they were: `python -m trainer.shards FOLDER`: every byte of them against their index.

With `--write` it makes the index of shards that have none, such as those of other programs.
"""

import io
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from asit_edge.errors import WrongUse
from trainer.data.shards.index import INDEX, describe, read_index, write_index
from trainer.evaluation.content import sketch_of_file
from trainer.run.command import run


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of shards (*.tar).")],
    write: Annotated[bool, typer.Option("--write", help="Make the index from what is there.")] = False,
) -> None:
    """Compare shards with their index, or make it."""
    tars = sorted(folder.glob("*.tar"))
    if write:
        if not tars:
            raise WrongUse(f"{folder}: no shards (*.tar)")
        write_index(
            folder, [describe(path, lambda content: sketch_of_file(io.BytesIO(content))) for path in tqdm(tars)]
        )
    index = read_index(folder)
    if index is None:
        raise WrongUse(f"{folder}: has no {INDEX}; make one with python -m trainer.shards {folder} --write")
    index.check(thoroughly=not write)
    hours = index.samples.sum() / 16_000 / 3600
    print(f"{len(index.places)} clips, {hours:.2f} h, in {len(index.names)} shards, as in {folder / INDEX}")


if __name__ == "__main__":
    run("trainer.shards", main)
