"""What all processes of a run must have alike before its first step. Where they do not, all of them stop and say why.

Each process looks at its own run folder, shards, settings and code; what they found is compared by hashes, and a
difference is told in words, by rank and item. A process that finds its part wrong stops the others too, which would
wait for it else.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

import asit_edge
import trainer
from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.run.ranks.distributed import Processes, from_all, from_first

T = TypeVar("T")

Facts = Mapping[str, Mapping[str, str]]
"""By kind ("setting", "shard", "checkpoint"): what must be alike, by name."""

_TOLD = 3
"""Differences that are told of a process."""


class _Said(NamedTuple):
    name: str
    wrong: str | None
    """Why this process cannot begin."""
    asked_wrongly: bool
    digests: dict[str, str]


def alike(processes: Processes, look: Callable[[], tuple[T, Facts]]) -> T:
    """What `look` finds on this process, once what must be alike is so on all of them.

    Raises WrongUse on every process where something differs, naming rank and item; what `look` raises on one is raised
    on all.
    """
    if processes.count == 1:
        return look()[0]
    found: tuple[T, Facts] | None = None
    error: AsitEdgeError | None = None
    try:
        found = look()
    except AsitEdgeError as raised:
        error = raised
    facts: Facts = found[1] if found else {}
    digests = {kind: _digest(entries) for kind, entries in facts.items()}
    said = from_all(_Said(processes.name, str(error) if error else None, isinstance(error, WrongUse), digests))
    if error is not None:
        raise error
    for one in said:
        if one.wrong is not None:
            raise (WrongUse if one.asked_wrongly else AsitEdgeError)(f"{one.name}: {one.wrong}")
    known = dict.fromkeys(kind for one in said for kind in one.digests)  # other code may look at other kinds
    kinds = [kind for kind in known if len({one.digests.get(kind) for one in said}) > 1]
    if kinds:
        theirs: Facts = from_first({kind: facts.get(kind, {}) for kind in kinds})
        told = from_all(_differences(facts, theirs))
        words = "; ".join(f"{one.name}: {text}" for one, text in zip(said, told, strict=True) if text)
        raise WrongUse(
            f"the processes of this run differ: {words}; its folder, shards, settings and code must be the same for all"
        )
    assert found is not None
    return found[0]


def _differences(ours: Facts, theirs: Facts) -> str:
    """In words, what this process has otherwise than the first; "" where nothing is."""
    found = []
    for kind, expected in theirs.items():
        here = ours.get(kind, {})
        for name in [*expected, *(name for name in here if name not in expected)]:
            if here.get(name) != expected.get(name):
                mine, first = (side.get(name, "not there") for side in (here, expected))
                found.append(f"{kind} {name} is {mine}, on rank 0 {first}")
    more = [f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
    return ", ".join(found[:_TOLD] + more)


def _digest(entries: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(entries), sort_keys=True).encode()).hexdigest()


@cache
def code_version() -> str:
    """Of the trainer and what it stands on: a hash of their sources, and torch's version."""
    digest = hashlib.sha256()
    for package in (asit_edge, trainer):
        root = Path(str(package.__file__)).parent
        for file in sorted(root.rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return f"{digest.hexdigest()[:12]} with torch {torch.__version__}"
