"""Draws how a pre-training run went: `python -m trainer.curves RUN... --out curves.png`, from their metrics.jsonl.

One run: its losses and entropies over the clips that it saw. Several runs: the same in other colours, to compare.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.run.command import run
from trainer.run.journal import METRICS

PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("global loss", ("loss/global",)),
    ("local loss", ("loss/local",)),
    ("reconstruction loss", ("loss/reconstruction",)),
    ("class entropy (nat)", ("entropy/teacher class", "entropy/student class", "entropy/centre class")),
    ("patch entropy (nat)", ("entropy/teacher patch", "entropy/student patch")),
    ("learning rate", ("learning rate",)),
)
"""Title and metrics of each panel; the second and further metrics of a panel are dashed and dotted."""

STYLES = ("-", "--", ":")

Metrics = Mapping[int, Mapping[str, float]]
"""Scalars by step."""


def read_metrics(run_folder: Path) -> Metrics:
    """The scalars of a run; where a resumed run wrote a step again, the newer ones count.

    Raises WrongUse if the folder holds no run, AsitEdgeError if a line other than the last cannot be read.
    """
    file = run_folder / METRICS
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WrongUse(f"{file}: cannot be read ({error.strerror}); RUN must be a folder of trainer.pretrain") from None
    entries: dict[int, Mapping[str, float]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries[int(entry["step"])] = entry
        except (json.JSONDecodeError, KeyError, TypeError):
            if number < len(lines):  # the last line of a run that was killed may be cut off
                raise AsitEdgeError(f"{file}:{number}: not a line of metrics") from None
    if not entries:
        raise WrongUse(f"{file}: holds no step yet")
    return dict(sorted(entries.items()))


def draw_curves(runs: Mapping[str, Metrics], smooth: int = 1) -> Figure:
    """One panel a kind of metric, one colour a run; each point is the mean of `smooth` records."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    for place, (title, names) in enumerate(PANELS, start=1):
        axes = figure.add_subplot(2, 3, place)
        for colour, (label, metrics) in enumerate(runs.items()):
            for style, name in zip(STYLES, names, strict=False):
                drawn = [(step, entry[name]) for step, entry in metrics.items() if name in entry]
                if not drawn:
                    continue
                steps, values = _smoothed(drawn, smooth)
                axes.plot(
                    steps,
                    values,
                    style,
                    color=f"C{colour}",
                    label=label if len(names) == 1 else name.removeprefix("entropy/").split()[0],
                )
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=8)
        if axes.lines and (len(names) > 1 or (place == 1 and len(runs) > 1)):
            axes.legend(fontsize=7)
    return figure


def _smoothed(drawn: Sequence[tuple[int, float]], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of that many records each; what is left at the end makes a shorter one."""
    points = np.array(drawn, np.float64)
    groups = np.split(points, range(size, len(points), size))
    return np.array([group[:, 0].mean() for group in groups]), np.array([group[:, 1].mean() for group in groups])


def main(
    runs: Annotated[list[Path], typer.Argument(help="Folders of trainer.pretrain.")],
    out: Annotated[Path, typer.Option(help="PNG, PDF or SVG file.")],
    smooth: Annotated[int, typer.Option(min=1, help="Records that make one point.")] = 1,
) -> None:
    """Losses and entropies of pre-training runs as one picture."""
    names = [folder.resolve().name for folder in runs]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in runs]
    figure = draw_curves(dict(zip(names, map(read_metrics, runs), strict=True)), smooth)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=80)
    except (OSError, ValueError) as error:
        raise WrongUse(f"--out {out}: cannot be written ({error})") from None
    print(f"wrote {out}")


if __name__ == "__main__":
    run("trainer.curves", main)
