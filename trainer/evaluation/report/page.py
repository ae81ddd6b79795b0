"""What stands on the page: for each part of the data its figures in words, tables, pictures, and recordings to hear."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from asit_edge.model.frontend import FrontEnd
from trainer.data.dataset import Dataset
from trainer.data.decode import samples_of
from trainer.evaluation.report import figures
from trainer.evaluation.report.palette import Palette, palette_of
from trainer.evaluation.report.players import Player, Players
from trainer.evaluation.results import Json, Scored, table
from trainer.evaluation.scoring import ScoringModel

TIMELINES = 8
"""Recordings of a part that are drawn."""

MATRIX = 60
"""Classes up to which confusion is drawn."""

NONE = "-"
"""Of what cannot be said, as where there is no event of a class."""


@dataclass(frozen=True)
class Picture:
    """A data address, what it shows, and what can be heard of it."""

    source: str
    caption: str
    player: Player | None = None


def write_report(
    path: Path,
    model: ScoringModel,
    clips: Mapping[str, Dataset],
    scored: Mapping[str, Scored],
    results: dict[str, Json],
) -> None:
    """One section a part."""
    labels = list(dict.fromkeys(label for one in scored.values() for label in one.labels))
    palette, players = palette_of(labels), Players()
    parts = [part(title, model, clips[title], scored[title], results[title], palette, players) for title in results]
    environment = Environment(
        loader=PackageLoader("trainer.evaluation.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    name = next(iter(clips.values())).name
    page = environment.get_template("page.html").render(title=f"{model.name} on {name}", parts=parts, palette=palette)
    path.write_text(page, encoding="utf-8")


def part(
    title: str,
    model: ScoringModel,
    dataset: Dataset,
    scored: Scored,
    result: Json,
    palette: Palette,
    players: Players,
) -> dict[str, Any]:
    """One section for the template."""
    return {
        "title": title,
        "warnings": list(result.get("warnings", ())),
        "lines": table(result).partition("\n\n")[0].splitlines(),
        "columns": columns(result),
        "classes": class_rows(result),
        "thresholds": threshold_rows(model, scored, result),
        "pictures": list(pictures(scored, result, palette)),
        "recordings": list(recordings(model, dataset, scored, palette, players)),
    }


def columns(result: Json) -> list[str]:
    """Of the table of classes, behind their names."""
    names = ["clips", "AP", "AUC"]
    return names + (["events", "PSDS1", "PSDS2", "F1"] if "detection" in result else [])


def class_rows(result: Json) -> list[tuple[str, list[str]]]:
    """Each class with its figures in the order of `columns`, as `table` rounds them."""
    rows = []
    for label, row in result["classes"].items():
        cells = [str(row["clips"]), number(row["ap"]["value"], 3), number(row["auc"], 3)]
        if "detection" in result:
            own = result["detection"]["classes"][label]
            cells += [str(own["events"]), *(number(own[key], 3) for key in ("psds1", "psds2", "event_f1"))]
        rows.append((label, cells))
    return rows


def threshold_rows(model: ScoringModel, scored: Scored, result: Json) -> list[tuple[str, list[str]]]:
    """Each class with the scores at which its events begin and end, and what comes of it where that was measured."""
    settings = {label.name: entry for label, entry in zip(model.labels, model.classes, strict=True)}
    detection = result.get("detection", {}).get("classes", {})
    rows = []
    for label in scored.labels:
        entry, own = settings[label], detection.get(label)
        cells = [f"{entry.on:.3f}", f"{entry.off:.3f}"] if entry else ["not reported", NONE]
        if own:
            missed, precision = percent(own["miss_rate"]), percent(own["precision"])
            cells += [missed, number(own["alarms_per_hour"], 1), precision, number(own["delay_p50"], 2)]
        rows.append((label, cells))
    return rows


def pictures(scored: Scored, result: Json, palette: Palette) -> Iterator[Picture]:
    """Of one part as a whole."""
    yield picture("Precision over recall", figures.curves(scored, result, palette))
    yield picture("Average precision by class, with 95 % intervals", figures.bars(result, palette))
    if len(result.get("confusion", ())) in range(2, MATRIX + 1):
        yield picture("Confusion: true class by row", figures.confusion(result, palette))
    if "detection" in result:
        yield picture("Misses over false alarms, one threshold for all classes", figures.trade_off(result["detection"]))


def recordings(
    model: ScoringModel, dataset: Dataset, scored: Scored, palette: Palette, players: Players
) -> Iterator[Picture]:
    """Those of which there is most to see: with strong labels over time, else clips that were taken for another."""
    spec = model.spec if isinstance(model.spec, FrontEnd) else FrontEnd()
    if scored.timelines:
        for index in choose_timelines(scored):
            samples = samples_of(dataset.recordings[index], spec.sample_rate)
            name = dataset.recordings[index].path.name
            caption = f"{name}: scores; above them what is true (dark) and what is heard (light)"
            figure = figures.timeline(spec, samples, scored, index, palette)
            yield picture(caption, figure, players.player(samples, spec.sample_rate))
        return
    for index, caption in mistakes(scored):
        samples = samples_of(dataset.recordings[index], spec.sample_rate)
        caption = f"{dataset.recordings[index].path.name}: {caption}"
        yield picture(caption, figures.clip(spec, samples), players.player(samples, spec.sample_rate))


def choose_timelines(scored: Scored) -> list[int]:
    """The recordings with the most events, true or detected, of which there is most to see."""
    sizes = [len(true) + len(detected) for true, detected in zip(scored.events, scored.detected, strict=True)]
    return sorted(np.argsort(sizes, kind="stable")[::-1][:TIMELINES].tolist())


def mistakes(scored: Scored) -> Iterator[tuple[int, str]]:
    """Clips in which a class that is not there scores above one that is, the clearest first, each in words."""
    there, scores = scored.truth, scored.scores
    least = np.where(there, scores, np.inf).min(axis=1)
    most = np.where(there, -np.inf, scores).max(axis=1)
    margins = np.where(np.isfinite(least) & np.isfinite(most), most - least, -np.inf)
    for index in np.argsort(-margins, kind="stable")[:TIMELINES].tolist():
        if margins[index] <= 0:
            return
        true = int(np.where(there[index], scores[index], np.inf).argmin())
        other = int(np.where(there[index], -np.inf, scores[index]).argmax())
        yield (
            index,
            f"{scored.labels[true]} scores {scores[index, true]:.2f}, "
            f"{scored.labels[other]}, which is not there, {scores[index, other]:.2f}",
        )


def picture(caption: str, figure: Figure, player: Player | None = None) -> Picture:
    return Picture(figures.embedded(figure), caption, player)


def number(value: float, digits: int) -> str:
    return NONE if np.isnan(value) else f"{value:.{digits}f}"


def percent(share: float) -> str:
    return NONE if np.isnan(share) else f"{share:.1%}"
