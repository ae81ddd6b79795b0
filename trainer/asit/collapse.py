"""Tells when self-distillation has collapsed (DINO, arXiv 2104.14294, section 5.3): a small state machine."""

import math
from dataclasses import dataclass, field

from trainer.asit.asit import Entropies

TO_UNIFORM = (
    "no clip is told from another; go back to a snapshot before it (--from-snapshot) with a lower teacher_temperature, "
    "a longer temperature_warm_up, or a lower learning_rate"
)
TO_ONE = (
    "all clips look alike; go back to a snapshot before it (--from-snapshot) with a higher teacher_temperature_start "
    "and teacher_temperature, or a lower centre_momentum"
)


@dataclass
class CollapseWatch:
    """Watches the teacher's entropies over prototypes; speaks when `patience` observations agree."""

    class_prototypes: int
    patch_prototypes: int
    patience: int = 20
    near: float = 0.005
    """How near to zero or to uniform is collapsed, as a share of log K."""
    _lasting: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By kind of token: how it is collapsed ("" if it is not), and for how many observations."""

    def observe(self, entropies: Entropies) -> list[str]:
        """Takes the entropies of a batch, in nats.

        Returns a sentence, which says what to try, for each kind of token whose collapse has lasted long enough, once
        for each collapse.
        """
        kinds = (
            ("class", self.class_prototypes, entropies.teacher_class, entropies.centre_class),
            ("patch", self.patch_prototypes, entropies.teacher_patch, entropies.centre_patch),
        )
        said = []
        for tokens, prototypes, teacher, centre in kinds:
            highest = math.log(prototypes)
            how, figure, remedy = "", "", ""
            if centre < self.near * highest:
                how, figure, remedy = "to one prototype", f"entropy of the mean {centre:.3f} of {highest:.3f}", TO_ONE
            elif teacher > (1 - self.near) * highest:
                how, figure, remedy = "to uniform", f"teacher entropy {teacher:.3f} of {highest:.3f}", TO_UNIFORM
            before, count = self._lasting.get(tokens, ("", 0))
            count = count + 1 if how == before else 1
            self._lasting[tokens] = how, count
            if how and count == self.patience:
                said.append(f"the teacher's {tokens} tokens have collapsed {how} ({figure}): {remedy}")
        return said
