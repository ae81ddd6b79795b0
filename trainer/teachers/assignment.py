"""Which of several teachers has a say in which label: all that know it, or the one that it is assigned to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asit_edge.errors import WrongUse
from asit_edge.validation import nearest
from trainer.run.settings import read_settings

LEAST = 1e-3
"""Below this a probability says no more than "not at all"."""

Assigned = Mapping[str, str]
"""Label to the name of a teacher's file."""


def read_assigned(file: Path) -> dict[str, str]:
    """A YAML file of lines `label: teacher's file name`. Raises WrongUse that names it."""
    settings: dict[Any, Any] = read_settings(file)
    for label, teacher in settings.items():
        if not isinstance(label, str) or not isinstance(teacher, str):
            raise WrongUse(f"{file}: {label}: {teacher}: must be a label and the name of a teacher's file")
    return settings


def says(
    names: Sequence[str], known: Sequence[Sequence[str]], labels: Sequence[str], assigned: Assigned
) -> npt.NDArray[np.float32]:
    """1 where a teacher has a say in a label, (teachers, labels): in those that it knows and that no other is assigned.

    `known` are each teacher's labels.
    Raises WrongUse where a label is assigned to a teacher that is not there, or that does not know it.
    """
    says = np.array([[label in own for label in labels] for own in map(frozenset, known)], np.float32)
    says = says.reshape(len(names), len(labels))
    for label, teacher in assigned.items():
        if label not in labels:
            continue
        if teacher not in names:
            raise WrongUse(f"--assign: {label}: no teacher is named {teacher}{nearest(teacher, list(names))}")
        place, column = names.index(teacher), list(labels).index(label)
        if not says[place, column]:
            raise WrongUse(f"--assign: {label}: {teacher} does not know it")
        says[:, column] = 0
        says[place, column] = 1
    return says
