"""Tells when self-distillation has collapsed (DINO, arXiv 2104.14294, section 5.3): a small state machine."""

import math
from dataclasses import dataclass


@dataclass
class CollapseWatch:
    """Watches the teacher's entropies over K `prototypes`; speaks when `patience` observations agree."""

    prototypes: int
    patience: int = 20
    near: float = 0.005
    """How near to zero or to uniform is collapsed, as a share of log K."""
    _kind: str = ""
    _count: int = 0

    def observe(self, teacher: float, centre: float) -> str | None:
        """Takes the mean entropy of the teacher's class distributions and the entropy of their mean, in nats.

        Returns a sentence when a collapse has lasted long enough, once for each collapse.
        """
        highest = math.log(self.prototypes)
        if centre < self.near * highest:
            kind = f"to one prototype (entropy of the mean {centre:.3f} of {highest:.3f})"
        elif teacher > (1 - self.near) * highest:
            kind = f"to uniform (teacher entropy {teacher:.3f} of {highest:.3f})"
        else:
            kind = ""
        same = bool(kind) and kind.split("(")[0] == self._kind.split("(")[0]
        self._kind, self._count = kind, self._count + 1 if same else int(bool(kind))
        return f"the teacher has collapsed {kind}" if self._count == self.patience else None
