"""Every schedule of pre-training as a pure function of step or epoch (ASiT section 4; DINO's shapes)."""

import math


def cosine(step: int, steps: int, start: float, end: float) -> float:
    """From `start` at step 0 along half a cosine towards `end`, which step `steps` would have."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(step, steps) / max(steps, 1)))


def learning_rate(step: int, steps: int, warm_up: int, peak: float, final: float) -> float:
    """Linear from 0 to `peak`, the last of `warm_up` steps, then a cosine to `final`."""
    if step < warm_up:
        return peak * step / max(warm_up - 1, 1)
    return cosine(step - warm_up, steps - warm_up, peak, final)


def teacher_temperature(epoch: int, warm_up: int, start: float, final: float) -> float:
    """Linear in the epoch from `start` in epoch 0 to `final` in epoch `warm_up` - 1; then constant."""
    if epoch >= warm_up - 1:
        return final
    return start + (final - start) * epoch / (warm_up - 1)
