"""Soundscapes with strong labels; how they are drawn and mixed is `trainer.data.soundscapes`.

`python -m trainer.soundscapes OUT --foreground DATA --background DATA [--response DIR]`.
"""

from pathlib import Path
from typing import Annotated

import typer

from asit_edge.errors import WrongUse
from trainer.data.layouts.detect import read_any
from trainer.data.layouts.listing import audio_files
from trainer.data.recording import Recording
from trainer.data.soundscapes import SoundscapeConfig, collect, write_soundscapes
from trainer.run.command import run


def audio_in(path: Path) -> list[Recording]:
    """A table's recordings, or every audio file in a folder, whatever its labels."""
    if path.is_file():
        return read_any(path).recordings
    files = audio_files(path)
    if not files:
        raise WrongUse(f"{path}: no audio in this folder")
    return [Recording(file) for file in files]


def main(
    out: Annotated[Path, typer.Argument(help="New folder for audio/, events.tsv, durations.tsv and recipes.jsonl.")],
    foreground: Annotated[list[Path], typer.Option(help="Labelled sounds: a folder, a table or ESC-50. Repeatable.")],
    background: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of audio or a table; clips with a wanted label are left out. Default: noise."),
    ] = None,
    response: Annotated[list[Path] | None, typer.Option(help="Folder of room impulse responses.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Wanted class; repeat for more; the others become unlabelled. Default: all."),
    ] = None,
    count: Annotated[int, typer.Option(min=1)] = 100,
    seconds: Annotated[float, typer.Option(min=1.0)] = SoundscapeConfig.seconds,
    events: Annotated[tuple[int, int], typer.Option(help="Fewest and most wanted sounds.")] = SoundscapeConfig.events,
    others: Annotated[tuple[int, int], typer.Option(help="Fewest and most other sounds.")] = SoundscapeConfig.others,
    quiet: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share without wanted sounds.")
    ] = SoundscapeConfig.quiet,
    snr: Annotated[tuple[float, float], typer.Option(help="Lowest and highest SNR in dB.")] = SoundscapeConfig.snr_db,
    overlap: Annotated[bool, typer.Option(help="Whether sounds of different classes may overlap.")] = True,
    part: Annotated[str, typer.Option(help="all, train or test: parts that share no recording.")] = "all",
    test_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of recordings in test.")] = 0.3,
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Mix soundscapes with strong labels in DCASE's tsv format."""
    if out.exists() and any(out.iterdir()):
        raise WrongUse(f"{out}: exists and is not empty; name a new folder")
    if part not in ("all", "train", "test"):
        raise WrongUse(f"--part {part}: must be all, train or test")
    for name, (low, high) in (("--events", events), ("--others", others), ("--snr", snr)):
        if low > high or (name != "--snr" and low < 0):
            raise WrongUse(f"{name} {low} {high}: lowest first, then highest")
    config = SoundscapeConfig(seconds=seconds, events=events, others=others, quiet=quiet, snr_db=snr, overlap=overlap)
    library = collect(
        [(path, read_any(path)) for path in foreground],
        (one for path in background or () for one in audio_in(path)),
        (one.path for path in response or () for one in audio_in(path)),
        label or [],
        part,
        test_share,
        config.rate,
    )
    total = write_soundscapes(out, library, count, seed, config)
    print(f"wrote {out}: {count} soundscapes of {seconds:g} s, {total} events of {len(library.classes)} classes")


if __name__ == "__main__":
    run("trainer.soundscapes", main)
