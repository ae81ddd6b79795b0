"""`python -m export.negatives BUNDLE --data DIR...`: what a bundle needs to be taught sounds on the device.

Its model hears the recordings; of what it makes of them (embeddings, no audio) the bundle gets `negatives.safetensors`:
how embeddings spread, and thousands of examples of sounds that are not the one that somebody will teach
(`asit_edge.teach.space`). What is left out of all training (`trainer/left_out.txt`, a test fold) takes no part.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from asit_edge.errors import WrongUse
from asit_edge.model.bundle import load_bundle, sha256, write_manifest
from asit_edge.teach.space import NEGATIVES, load_space
from export.card import CARD, model_card
from export.negatives.embedded import embed_recordings, space_of, write_space
from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import split_left_out
from trainer.data.recording import Role
from trainer.run.command import run


def main(
    bundle: Annotated[Path, typer.Argument(help="Directory of a bundle whose model gives embeddings.")],
    data: Annotated[list[Path] | None, typer.Option(help="Collection (manifest.csv, ESC-50 layout); repeat.")] = None,
    test_fold: Annotated[int | None, typer.Option(help="Fold (ESC-50 layout) that is left out.")] = None,
    axes: Annotated[int, typer.Option(min=16, max=1024, help="Numbers of a direction.")] = 128,
    clips: Annotated[int, typer.Option(min=100, help="Examples at most, one of each recording.")] = 3500,
    sharealike: Annotated[bool, typer.Option("--sharealike", help="Use share-alike recordings too.")] = False,
) -> None:
    """Give a bundle the negatives that teaching on the device needs."""
    if not data:
        raise WrongUse("--data: name the collections whose sounds become examples")
    loaded = load_bundle(bundle)
    if loaded.stream.embedding is None:
        raise WrongUse(f"{bundle}: its model gives no embeddings; export it again with python -m export.bundle")
    recordings = [recording for root in data for recording in read_recordings(root)]
    kept, _ = split_left_out([one for one in recordings if sharealike or not one.sharealike], test_fold)
    embedded = embed_recordings(loaded, [one for one in kept if one.role is Role.SOUND])
    front_end = loaded.manifest.front_end
    seconds = loaded.stream.frames * front_end.hop / front_end.sample_rate
    made, sources = space_of(embedded, min(axes, loaded.stream.embedding), clips, seconds)
    write_space(bundle / NEGATIVES, made, sources)
    manifest = loaded.manifest.model_copy(
        update={
            "files": {**loaded.manifest.files, NEGATIVES: sha256(bundle / NEGATIVES)},
            "training": {**loaded.manifest.training, "negatives": sources},
        }
    )
    if (bundle / CARD).is_file():
        (bundle / CARD).write_text(model_card(manifest), encoding="utf-8")
    write_manifest(bundle, manifest)
    space = load_space(load_bundle(bundle))
    size = (bundle / NEGATIVES).stat().st_size / 1e6
    print(f"{bundle / NEGATIVES}: {len(space.labels)} clips, {space.hours:.2f} h, {size:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    run("export.negatives", main)
