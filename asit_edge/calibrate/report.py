"""What a calibration found and set, for people and as JSON. Pure."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from asit_edge.calibrate.choice import Outcome, known_below, most
from asit_edge.config.root import Config
from asit_edge.errors import readable

COLUMNS = ("label", "on", "off", "events before", "a day then")


@dataclass(frozen=True)
class Report:
    """Of `kind` "sources" or "recordings"; `heard` are their names."""

    kind: str
    heard: Sequence[str]
    hours: float
    """Heard, of all of them together."""
    shortest: float
    """Heard of the source that was heard shortest; of recordings all."""
    wanted: float
    """Alarms a day of each label, at most."""
    outcomes: Sequence[Outcome]
    configured: Collection[str] = ()
    """Labels whose on-threshold the configuration sets."""

    @property
    def changed(self) -> list[Outcome]:
        """The loudest first."""
        return sorted((one for one in self.outcomes if one.changed), key=lambda one: (-one.events, one.label))

    @property
    def too_often(self) -> list[Outcome]:
        """Labels that are above the wanted rate whatever is set here."""
        return [one for one in self.outcomes if one.a_day > most(self.wanted)]

    def lines(self) -> list[str]:
        """For people, without a line about what was written."""
        what = self.heard[0] if len(self.heard) == 1 else f"{len(self.heard)} {self.kind}"
        heard = f"{self.hours:.1f} h" if self.hours >= 1 else f"{self.hours * 60:.1f} min"
        lines = [f"heard {heard} of {readable(what)}; wanted: at most {self.wanted:g} a day of each label"]
        if self.changed:
            lines += ["", *_table([COLUMNS, *map(self._row, self.changed)]), ""]
        else:
            lines.append("no threshold has to be raised")
        lines += [self._too_often(one) for one in self.too_often]
        bound = known_below(self.shortest)
        if bound > self.wanted:
            needed = self.shortest * bound / self.wanted
            lines.append(
                f"what was not heard in this time may still come up to {_number(bound)} times a day (95 %): "
                f"to know of {self.wanted:g} a day takes {_number(needed)} h"
            )
        return lines

    def to_json(self, written: str | None) -> str:
        """One object on one line; `written` is the file in which it was kept."""
        content = {
            "heard": list(self.heard),
            "hours": round(self.hours, 4),
            "alarms_per_day": self.wanted,
            "known_below": round(known_below(self.shortest), 3),
            "labels": [_plain(one) for one in self.changed],
            "too_often": [{**_plain(one), "configured": one.label in self.configured} for one in self.too_often],
            "written": written,
        }
        return json.dumps(content, ensure_ascii=False)

    def _row(self, one: Outcome) -> tuple[str, ...]:
        moved = [f"{before:.3f} -> {after:.3f}" for before, after in zip(one.before, one.after, strict=True)]
        a_day = _number(one.a_day) if one.a_day else f"under {_number(known_below(self.shortest))}"
        return (one.label, *moved, str(one.events), a_day)

    def _too_often(self, one: Outcome) -> str:
        if one.label in self.configured:
            return f"{one.label}: {_number(one.a_day)} a day; the configuration sets its on_threshold, raise it there"
        return (
            f"{one.label}: still {_number(one.a_day)} a day at {one.after[0]:.3f}, and no threshold leaves less; to be "
            "deaf to it, name the labels to report in events.only without it, or mute it in events.quiet_hours"
        )


def configured_labels(config: Config) -> set[str]:
    """Labels whose on-threshold the configuration sets, for one source at least: that goes before a calibration."""
    everywhere = [config.events.labels, *(source.events.labels for source in config.sources if source.events)]
    return {name for labels in everywhere for name, one in labels.items() if one.on_threshold is not None}


def _plain(one: Outcome) -> dict[str, Any]:
    before, after = ({"on": on, "off": off} for on, off in (one.before, one.after))
    return {"label": one.label, "before": before, "after": after, "events": one.events, "a_day": round(one.a_day, 3)}


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
