"""The evaluation as one HTML page with its pictures inside: curves, bars, confusion, and scores over spectrograms."""

import base64
import html
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from asit_edge.model.frontend import FrontEnd, log_mel
from trainer.data.dataset import Dataset
from trainer.data.decode import decode
from trainer.evaluation.metrics import precision_recall
from trainer.evaluation.results import Json, Scored, table
from trainer.evaluation.scoring import ScoringModel

TIMELINES = 8
"""Recordings that are drawn."""

CURVES = 12
"""Classes that get a curve or a bar in one picture; the weakest ones where there are more."""


MATRIX = 60
"""Classes up to which confusion is drawn."""


def write_report(
    path: Path, model: ScoringModel, clips: dict[str, Dataset], scored: dict[str, Scored], results: dict[str, Json]
) -> None:
    """One section a part."""
    name = next(iter(clips.values())).name
    body = [f"<h1>{html.escape(model.name)} on {html.escape(name)}</h1>"]
    for title, result in results.items():
        warnings = html.escape("\n".join(result.get("warnings", ())))
        body.append(f"<h2>{html.escape(title)}</h2>" + (f"<pre class='warning'>{warnings}</pre>" if warnings else ""))
        body.append(f"<pre>{html.escape(table(result))}</pre>")
        for caption, figure in pictures(model, clips[title], scored[title], result):
            body.append(f"<figure>{embedded(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>")
    style = "body{font-family:sans-serif;max-width:70em;margin:2em auto}img{max-width:100%}pre{overflow-x:auto}"
    style += ".warning{white-space:pre-wrap;border-left:4px solid #c44;padding-left:1em}"
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Evaluation</title><style>{style}</style>'
    path.write_text(page + "\n".join(body) + "</html>\n", encoding="utf-8")


def embedded(figure: Figure) -> str:
    """A figure as an image element."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return f'<img src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}" alt="">'


def pictures(model: ScoringModel, dataset: Dataset, scored: Scored, result: Json) -> Iterator[tuple[str, Figure]]:
    """Captions and figures of one part."""
    yield "Precision over recall", curves(scored, result)
    yield "Average precision by class, with 95 % intervals", bars(result)
    if len(result.get("confusion", ())) in range(2, MATRIX + 1):
        yield "Confusion: true class by row", confusion(result)
    if "detection" in result:
        yield "Misses over false alarms, one threshold for all classes", trade_off(result["detection"])
        for index in choose_timelines(scored):
            path = dataset.recordings[index].path
            caption = f"{path.name}: scores; above them what is true (dark) and what is heard (light)"
            yield caption, timeline(model, path, scored, index)


def weakest(result: Json) -> list[str]:
    """Classes with clips, lowest average precision first."""
    rows = {label: row for label, row in result["classes"].items() if row["clips"]}
    return sorted(rows, key=lambda label: rows[label]["ap"]["value"])


def curves(scored: Scored, result: Json) -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for label in weakest(result)[:CURVES]:
        index = scored.labels.index(label)
        precision, recall, _ = precision_recall(scored.scores[:, index], scored.truth[:, index])
        axes.step(np.append(0, recall), np.append(precision[:1], precision), where="pre", label=label)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend(fontsize="small", loc="lower left")
    return figure


def bars(result: Json) -> Figure:
    labels = weakest(result)[: 4 * CURVES]
    figure = Figure(figsize=(7, 1 + 0.25 * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    entries = [result["classes"][label]["ap"] for label in labels]
    values = np.array([entry["value"] for entry in entries])
    low, high = (np.nan_to_num(np.array([entry[key] for entry in entries]), nan=0.0) for key in ("low", "high"))
    errors = np.maximum(np.stack((values - low, high - values)), 0)
    axes.barh(labels, values, xerr=errors, color="#4c78a8", ecolor="#333333")
    axes.set(xlim=(0, 1), xlabel="average precision")
    return figure


def confusion(result: Json) -> Figure:
    counts = np.array(result["confusion"])
    side = 2.5 + 0.35 * len(counts)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    places = range(len(counts))
    axes.set_xticks(places, result["labels"], rotation=90)
    axes.set_yticks(places, result["labels"])
    axes.set(xlabel="predicted", ylabel="true")
    if len(counts) <= 20:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize="small")
    return figure


def trade_off(detection: Json) -> Figure:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    points = detection["operating_points"]
    axes.plot([point["alarms_per_hour"] for point in points], [point["miss_rate"] for point in points], ".-")
    axes.plot(detection["alarms_per_hour"], detection["miss_rate"], "k*", markersize=12, label="the model's thresholds")
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel="false alarms per hour", ylabel="missed events", ylim=(0, 1.01))
    axes.legend()
    return figure


def choose_timelines(scored: Scored) -> list[int]:
    """The recordings with the most events, true or detected, of which there is most to see."""
    sizes = [len(true) + len(detected) for true, detected in zip(scored.events, scored.detected, strict=True)]
    return sorted(np.argsort(sizes, kind="stable")[::-1][:TIMELINES].tolist())


def timeline(model: ScoringModel, path: Path, scored: Scored, index: int) -> Figure:
    """Spectrogram above, scores below, with true and detected events as bars between them."""
    line, true, detected = scored.timelines[index], scored.events[index], scored.detected[index]
    figure = Figure(figsize=(11, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    spec = model.spec if isinstance(model.spec, FrontEnd) else FrontEnd()
    image = log_mel(spec, decode(path, spec.sample_rate))
    above.imshow(image.T, origin="lower", aspect="auto", extent=(0, line.edges[-1], 0, image.shape[1]), cmap="magma")
    above.set_ylabel("mel bin")
    named = {event.label for event in true} | {event.label for event in detected}
    shown = sorted(named | set(np.argsort(line.scores.max(axis=0))[::-1][: max(0, 4 - len(named))].tolist()))
    for place, label in enumerate(shown):
        colour = f"C{place % 10}"
        below.step(
            line.edges,
            np.append(line.scores[:, label], line.scores[-1, label]),
            where="post",
            color=colour,
            label=scored.labels[label],
        )
        level = 1.06 + 0.07 * place
        for events, height, alpha in ((true, level, 1.0), (detected, level + 0.03, 0.4)):
            spans = [(event.onset, event.offset - event.onset) for event in events if event.label == label]
            below.broken_barh(spans, (height, 0.025), color=colour, alpha=alpha)
    below.set(xlabel="seconds", ylabel="score", ylim=(0, 1.1 + 0.07 * len(shown)), xlim=(0, line.edges[-1]))
    below.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
