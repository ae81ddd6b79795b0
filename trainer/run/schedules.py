"""Every schedule as a pure function of step or epoch (ASiT section 4; DINO's shapes; AST's halving)."""

import math


def cosine(step: int, steps: int, start: float, end: float) -> float:
    """From `start` at step 0 along half a cosine towards `end`, which step `steps` would have."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(step, steps) / max(steps, 1)))


def rising(step: int, warm_up: int, peak: float, from_zero: bool = False) -> float:
    """The learning rate in the warm-up: linear to `peak` at its last step, from one step's share or from 0."""
    return peak * step / max(warm_up - 1, 1) if from_zero else peak * (step + 1) / warm_up


def warm_up_cosine(
    step: int, steps: int, warm_up: int, peak: float, final: float = 0.0, from_zero: bool = False
) -> float:
    """The learning rate at `step`, from 0 to `steps` - 1: it rises for `warm_up` steps, then a cosine to `final`."""
    if step < warm_up:
        return rising(step, warm_up, peak, from_zero)
    return cosine(step - warm_up, steps - warm_up, peak, final)


def warm_up_halving(step: int, epoch_steps: int, warm_up: int, peak: float, halve_from: int, halve_every: int) -> float:
    """The learning rate at `step`: it rises, then half of it from epoch `halve_from` on, and half again and again."""
    if step < warm_up:
        return rising(step, warm_up, peak)
    late = step // epoch_steps - halve_from
    return peak * (0.5 ** (late // halve_every + 1) if late >= 0 else 1.0)


def teacher_temperature(epoch: int, warm_up: int, start: float, final: float) -> float:
    """Linear in the epoch from `start` in epoch 0 to `final` in epoch `warm_up` - 1; then constant."""
    if epoch >= warm_up - 1:
        return final
    return start + (final - start) * epoch / (warm_up - 1)
