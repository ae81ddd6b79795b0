"""Which clips can be learnt from: those that can be read, hold numbers, and are not silent where they have a label."""

from collections.abc import Sequence

import numpy as np

from asit_edge.audio.samples import Samples
from asit_edge.errors import AsitEdgeError, one_line
from trainer.data.decode import LazyClips

DAMAGED_IN_A_ROW = 20
"""So many clips next to each other that cannot be learnt from are no accident any more."""

SILENCE = 1e-4
"""A clip whose samples never exceed this (-80 dB of full scale) is silent."""

QUIET_LABELS = frozenset({"Silence"})
"""What a silent clip may well be labelled as."""


def why_not(samples: Samples, labels: Sequence[str] = ()) -> str | None:
    """Why a clip with these labels cannot be learnt from; None where it can. Silence without a label is a negative."""
    if not samples.size:
        return "empty"
    if not np.isfinite(samples).all():
        return "samples that are not finite"
    if labels and not QUIET_LABELS & set(labels) and np.abs(samples).max() <= SILENCE:
        return "silent"
    return None


class StandIns:
    """Clips by number; for one that cannot be learnt from the next one that can stands in."""

    def __init__(self, clips: Sequence[Samples]) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def take(self, index: int, skipped: dict[str, str]) -> tuple[int, Samples]:
        """The number of the clip that is taken, and its samples; `skipped` gets those that cannot be, and why.

        Raises AsitEdgeError where too many in a row cannot.
        """
        clips = self._clips
        lazy = clips if isinstance(clips, LazyClips) else None
        wrong: dict[str, str] = {}
        for step in range(min(DAMAGED_IN_A_ROW, len(clips))):
            candidate = (index + step) % len(clips)
            name = lazy.name(candidate) if lazy else f"clip {candidate}"
            try:
                samples = clips[candidate]
            except AsitEdgeError as error:
                wrong[name] = one_line(error)
                continue
            reason = why_not(samples, lazy.labels(candidate) if lazy else ())
            if reason is None:
                skipped.update(wrong)
                return candidate, samples
            wrong[name] = reason
        first = next(iter(wrong), "no clip")
        raise AsitEdgeError(f"{first}: it and the clips after it cannot be learnt from: {wrong}")
