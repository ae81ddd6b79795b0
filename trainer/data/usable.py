"""Which clips can be learnt from: those that can be read, hold numbers, and are not silent where they have a label."""

from collections.abc import Sequence

import numpy as np

from asit_edge.audio.samples import Samples

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
