"""False alarms in long sound, at a model's own thresholds, by label.

Real sound is labelled by a word at best, so an event counts as *unsupported* where neither that word (or a kind of it,
or what it is a kind of) nor two published models agree with it: both at `AGREED` or more in the same two seconds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.evaluation.detection import Timeline, track
from trainer.evaluation.families import parents, related
from trainer.evaluation.scoring import SoundModel
from trainer.evaluation.yardstick.listening import Listening

AGREED = 0.3
SPAN = 2.0
"""Seconds in which models must agree, and by how much later than the event they may."""


@dataclass(frozen=True)
class Agreement:
    """In which spans of a piece of sound, one after the other, all who were asked hear a label: (spans, labels)."""

    labels: dict[str, int]
    heard: npt.NDArray[np.bool_]

    def supports(self, label: str, onset: float, offset: float) -> bool:
        """Whether they agree on it, or on a kind of it, at some time of the event."""
        columns = [column for name, column in self.labels.items() if name == label or label in parents(name)]
        first, last = int(onset // SPAN), int((offset + SPAN) // SPAN)
        return bool(self.heard[first : last + 1, columns].any())


def agreements(peers: Sequence[SoundModel], listening: Listening) -> list[Agreement]:
    """One for each piece of sound; on labels that all of the models have."""
    names = [{label.name for label in peer.labels} for peer in peers]
    common = sorted(set.intersection(*names)) if names else []
    found = []
    for index in range(len(listening)):
        lines = [peer.timeline(listening.samples(index, peer.spec.sample_rate)) for peer in peers]
        both = [_spans(line, peer, common) for line, peer in zip(lines, peers, strict=True)]
        count = min((len(one) for one in both), default=0)
        heard = np.logical_and.reduce([one[:count] for one in both]) if both else np.zeros((0, 0), np.bool_)
        found.append(Agreement({name: column for column, name in enumerate(common)}, heard))
    return found


def _spans(line: Timeline, peer: SoundModel, labels: Sequence[str]) -> npt.NDArray[np.bool_]:
    places = {label.name: place for place, label in enumerate(peer.labels)}
    active = line.scores[:, [places[name] for name in labels]] >= AGREED
    # A decision belongs to the span in which it was made.
    spans = (np.maximum(line.edges[1:] - 1e-6, 0.0) // SPAN).astype(int)
    heard = np.zeros((int(line.edges[-1] // SPAN) + 1, len(labels)), np.bool_)
    np.logical_or.at(heard, spans, active)
    return heard


def false_alarms(model: SoundModel, listening: Listening, agreement: Sequence[Agreement]) -> dict[str, Any]:
    """All events of the model, those that no label of their piece of sound says, and those that nothing supports.

    A label's hours are those of the pieces that have no such label.
    """
    rate = model.spec.sample_rate
    names = [label.name for label in model.labels]
    counts = {kind: Counter[str]() for kind in ("events", "unlabelled", "unsupported")}
    seconds, without = 0.0, dict.fromkeys(names, 0.0)
    for index in range(len(listening)):
        line = model.timeline(listening.samples(index, rate))
        said = listening.labels(index)
        absent = {name for name in names if not any(related(name, other) for other in said)}
        seconds += line.seconds
        for name in absent:
            without[name] += line.seconds
        for event in track(line, model.classes, rate):
            name = names[event.label]
            counts["events"][name] += 1
            counts["unlabelled"][name] += name in absent
            agreed = agreement[index].supports(name, event.onset, event.offset)
            counts["unsupported"][name] += name in absent and not agreed
    hours = seconds / 3600
    return {
        "hours": hours,
        **{f"{kind}_per_hour": sum(of.values()) / hours if hours else None for kind, of in counts.items()},
        "by_label": {
            name: {**{kind: of[name] for kind, of in counts.items()}, "hours_without": without[name] / 3600}
            for name, _ in counts["events"].most_common()
        },
    }
