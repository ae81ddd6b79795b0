"""The yardstick's results as Markdown: left-out collections first, then the rest, a row a model."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

SHOWN = 8
"""Labels that a row of false alarms names."""


LEFT_OUT, CHOSEN_BY = "left-out clips", "clips to choose by"


def tables(results: Mapping[str, Json], clips: str = LEFT_OUT) -> str:
    """Results by model's name, each as `measure` gives them; `clips` says what its clips are."""
    first = next(iter(results.values()))
    parts = [_quality(results, clips), _sizes(first, clips)]
    if "ambience" in first or "long" in first:
        parts.append(_alarms(results))
    return "\n\n".join(parts) + "\n"


def by_label(results: Mapping[str, Json], part: str) -> str:
    """Average precision of each label, a column a model."""
    labels = next(iter(results.values()))[part]["by_label"]
    counted = "clips" if part != "scenes" else "events"
    lines = [f"| label | {counted} | " + " | ".join(results) + " |", "|---" * (2 + len(results)) + "|"]
    for label, facts in labels.items():
        values = [result[part]["by_label"][label]["ap"] for result in results.values()]
        unknown = [label in result[part]["unknown"] for result in results.values()]
        shown = ["-" if missing else _number(value) for value, missing in zip(values, unknown, strict=True)]
        lines.append(f"| {label} | {facts[counted]} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _quality(results: Mapping[str, Json], clips: str) -> str:
    columns = {
        "clips": (f"{clips}: top-1, mAP",),
        "scenes": (
            "scenes: clip mAP",
            "PSDS1, PSDS2",
            "missed at 20 (5, 1) false alarms/h",
            "at own thresholds: missed, false alarms/h",
        ),
        "folds": ("held-out fold: top-1, mAP",),
        "same": ("same collections: top-1, mAP",),
    }
    shown = {part: heads for part, heads in columns.items() if part in next(iter(results.values()))}
    heads = [head for part in shown.values() for head in part]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for name, result in results.items():
        cells = [
            cell for part in shown for cell in (_scenes(result[part]) if part == "scenes" else _clips(result[part]))
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _clips(result: Json) -> list[str]:
    unknown = f"; {len(result['unknown'])} labels unknown" if result["unknown"] else ""
    return [f"{_interval(result['top1'])}, {_interval(result['map'])}{unknown}"]


def _scenes(result: Json) -> list[str]:
    missed = result["missed_at"]
    few = ", ".join(_percent(missed[alarms]) for alarms in ("5", "1"))
    return [
        _interval(result["map"]),
        f"{_number(result['psds1'])}, {_number(result['psds2'])}",
        f"{_percent(missed['20'])} ({few})",
        f"{_percent(result['own']['missed'])}, {result['own']['alarms_per_hour']:.1f}",
    ]


def _sizes(result: Json, clips: str) -> str:
    said = []
    titles = {"clips": clips, "folds": "held-out fold", "same": "same collections"}
    for part, title in titles.items():
        if part in result:
            said.append(f"{title}: {result[part]['clips']} clips of {result[part]['labels']} labels")
    if "scenes" in result:
        scenes = result["scenes"]
        said.append(f"scenes: {scenes['scenes']}, {scenes['events']} events of {scenes['labels']} labels")
    return "; ".join(said) + ". In brackets 95 % intervals over recordings."


def _alarms(results: Mapping[str, Json]) -> str:
    first = next(iter(results.values()))
    heads = {"ambience": "real ambience", "long": "scenes"}
    shown = {part: head for part, head in heads.items() if part in first}
    titles = [
        f"{head}, {first[part]['hours']:.2f} h: events, not of its label, unsupported, per hour"
        for part, head in shown.items()
    ]
    lines = [
        "| at each model's own thresholds | " + " | ".join(f"{title} | most often" for title in titles) + " |",
        "|---" * (1 + 2 * len(titles)) + "|",
    ]
    for name, result in results.items():
        cells = []
        for part in shown:
            rates = [result[part][f"{kind}_per_hour"] for kind in ("events", "unlabelled", "unsupported")]
            cells += [", ".join(_rate(rate) for rate in rates), _worst(result[part]["by_label"])]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _worst(labels: Mapping[str, Json]) -> str:
    worst = sorted(labels.items(), key=lambda item: -item[1]["unsupported"])[:SHOWN]
    return ", ".join(f"{name} {counts['unsupported']}" for name, counts in worst if counts["unsupported"])


def _interval(entry: Json) -> str:
    return f"{_number(entry['value'])} [{_number(entry['low'])}, {_number(entry['high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
