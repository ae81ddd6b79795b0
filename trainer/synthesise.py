"""Made sounds as a collection: `python -m trainer.synthesise OUT`; see `trainer.distillation.synthesis`."""

import csv
from pathlib import Path
from typing import Annotated

import soundfile
import typer

from asit_edge.errors import WrongUse
from trainer.distillation.synthesis import MAKERS, synthesised
from trainer.run.command import run

RATE = 16_000


def main(
    out: Annotated[Path, typer.Argument(help="New folder for audio/ and manifest.csv.")],
    count: Annotated[int, typer.Option(min=1, help="Sounds of each kind.")] = 24,
) -> None:
    """Write alarms, sirens, bells, knocks, shots and breaking, of which there are few open recordings."""
    if out.exists() and any(out.iterdir()):
        raise WrongUse(f"{out}: exists and is not empty; name a new folder")
    (out / "audio" / "synthesised").mkdir(parents=True)
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "source", "licence", "original_label", "audioset_label", "split_group", "sharealike"])
        for name, (label, _) in MAKERS.items():
            for number in range(count):
                path = f"synthesised/{name}-{number:03d}.flac"
                soundfile.write(out / "audio" / path, synthesised(name, number, RATE), RATE, subtype="PCM_16")
                table.writerow([path, "synthesised", "CC0-1.0", name, label, f"synthesised:{name}-{number}", 0])
    print(f"{out}: {count * len(MAKERS)} sounds of {len(MAKERS)} kinds")


if __name__ == "__main__":
    run("trainer.synthesise", main)
