"""Collections of recordings as distillation takes them: whatever a layout lists, with what the licence asks for."""

import csv
from pathlib import Path

from trainer.data.layouts.detect import read_any
from trainer.data.recordings import Recording

MANIFEST = "manifest.csv"


def read_recordings(root: Path) -> list[Recording]:
    """Lists a collection. Raises WrongUse, naming file and column, where it is none."""
    root = root.resolve()
    bound = _sharealike(root)
    recordings = []
    for clip in read_any(root).clips:
        inner = clip.path.relative_to(root).as_posix() if clip.path.is_relative_to(root) else clip.path.name
        recordings.append(
            Recording(
                path=clip.path,
                name=f"{root.name}/{inner}",
                labels=clip.categories,
                group=f"{root.name}/{clip.group or inner}",
                fold=clip.fold,
                events=clip.events,
                sharealike=inner in bound or inner.removeprefix("audio/") in bound,
            )
        )
    return recordings


def _sharealike(root: Path) -> set[str]:
    """Paths whose row says so with anything but 0."""
    if not (root / MANIFEST).is_file():
        return set()
    with (root / MANIFEST).open(newline="", encoding="utf-8") as file:
        return {
            row["path"] for row in csv.DictReader(file) if (row.get("sharealike") or "0") != "0" and row.get("path")
        }
