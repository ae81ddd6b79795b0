"""The pictures of the page: curves, bars, confusion, and scores under spectrograms whose axis is in Hz."""

import base64
import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asit_edge.audio.samples import Samples
from asit_edge.model.frontend import FrontEnd, log_mel, mel
from trainer.evaluation.metrics import precision_recall
from trainer.evaluation.report.palette import Palette
from trainer.evaluation.results import Json, Scored

CURVES = 12
"""Classes that get a curve or a bar in one picture; the weakest ones where there are more."""

TICKS = (50, 100, 200, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000)
"""Hz that are written at a spectrogram, as far as it reaches."""

APART = 0.08
"""Of its height, between two of them at least."""


def embedded(figure: Figure) -> str:
    """A figure as a data address."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def weakest(result: Json) -> list[str]:
    """Classes with clips, lowest average precision first."""
    rows = {label: row for label, row in result["classes"].items() if row["clips"]}
    return sorted(rows, key=lambda label: rows[label]["ap"]["value"])


def curves(scored: Scored, result: Json, palette: Palette) -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for label in weakest(result)[:CURVES]:
        index = scored.labels.index(label)
        precision, recall, _ = precision_recall(scored.scores[:, index], scored.truth[:, index])
        axes.step(
            np.append(0, recall), np.append(precision[:1], precision), where="pre", label=label, color=palette[label]
        )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend(fontsize="small", loc="lower left")
    return figure


def bars(result: Json, palette: Palette) -> Figure:
    labels = weakest(result)[: 4 * CURVES]
    figure = Figure(figsize=(7, 1 + 0.25 * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    entries = [result["classes"][label]["ap"] for label in labels]
    values = np.array([entry["value"] for entry in entries])
    low, high = (np.nan_to_num(np.array([entry[key] for entry in entries]), nan=0.0) for key in ("low", "high"))
    errors = np.maximum(np.stack((values - low, high - values)), 0)
    axes.barh(labels, values, xerr=errors, color=[palette[label] for label in labels], ecolor="#333333")
    axes.set(xlim=(0, 1), xlabel="average precision")
    return figure


def confusion(result: Json, palette: Palette) -> Figure:
    counts = np.array(result["confusion"])
    side = 2.5 + 0.35 * len(counts)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    places = range(len(counts))
    axes.set_xticks(places, result["labels"], rotation=90)
    axes.set_yticks(places, result["labels"])
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, label in zip(ticks, result["labels"], strict=True):
            tick.set_color(palette[label])
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


def spectrogram(axes: Axes, spec: FrontEnd, samples: Samples) -> None:
    """Log-mel of samples at the front end's rate, over seconds; frequencies where they lie on the mel scale."""
    image = log_mel(spec, samples)
    seconds = len(samples) / spec.sample_rate
    axes.imshow(image.T, origin="lower", aspect="auto", extent=(0, seconds, 0, spec.mels), cmap="magma")
    shown: list[int] = []
    for hz in reversed([one for one in TICKS if spec.low_hz <= one <= spec.high_hz]):
        if not shown or height_of(shown[-1], spec) - height_of(hz, spec) >= APART * spec.mels:
            shown.append(hz)
    axes.set_yticks(
        [height_of(hz, spec) for hz in shown], [f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}" for hz in shown]
    )
    axes.set(ylabel="Hz", ylim=(0, spec.mels))


def height_of(hz: float, spec: FrontEnd) -> float:
    """Where a frequency lies in a picture of mel bins, bin n from n to n + 1: its centre is in the middle."""
    low, high = mel(spec.low_hz), mel(spec.high_hz)
    return float((mel(hz) - low) / (high - low) * (spec.mels + 1) - 0.5)


def clip(spec: FrontEnd, samples: Samples) -> Figure:
    """A spectrogram alone."""
    figure = Figure(figsize=(8, 2.4), layout="constrained")
    axes = figure.add_subplot()
    spectrogram(axes, spec, samples)
    axes.set_xlabel("seconds")
    return figure


def timeline(spec: FrontEnd, samples: Samples, scored: Scored, index: int, palette: Palette) -> Figure:
    """Spectrogram above, scores below, with true and detected events as bars between them."""
    line, true, detected = scored.timelines[index], scored.events[index], scored.detected[index]
    figure = Figure(figsize=(11, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    spectrogram(above, spec, samples)
    named = {event.label for event in true} | {event.label for event in detected}
    shown = sorted(named | set(np.argsort(line.scores.max(axis=0))[::-1][: max(0, 4 - len(named))].tolist()))
    for place, label in enumerate(shown):
        colour = palette[scored.labels[label]]
        scores = np.append(line.scores[:, label], line.scores[-1, label])
        below.step(line.edges, scores, where="post", color=colour, label=scored.labels[label])
        level = 1.06 + 0.07 * place
        for events, height, alpha in ((true, level, 1.0), (detected, level + 0.03, 0.4)):
            spans = [(event.onset, event.offset - event.onset) for event in events if event.label == label]
            below.broken_barh(spans, (height, 0.025), color=colour, alpha=alpha)
    below.set(xlabel="seconds", ylabel="score", ylim=(0, 1.1 + 0.07 * len(shown)), xlim=(0, line.edges[-1]))
    below.set_yticks(np.linspace(0, 1, 6))
    below.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
