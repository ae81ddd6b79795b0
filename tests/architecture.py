"""The house as its imports show it: rooms, the floors they stand on, arrows, circles, sizes.

`FLOORS` is where floors are declared. `tests/test_architecture.py` holds the code to them, `scripts/draw-architecture`
draws them.
"""

import ast
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent

FLOORS: dict[str, list[tuple[str, ...]]] = {
    "asit_edge": [
        ("errors", "labels", "validation", "backoff"),
        ("host", "yaml_text"),
        ("config",),
        ("audio",),
        ("audio.sources",),
        ("model",),
        ("model.backends",),
        ("messages",),
        ("detect", "observe"),
        ("teach", "calibrate", "clips"),
        ("teach.lessons",),
        ("assembly",),
        ("store", "mqtt", "live", "remote"),
        ("web.guards", "adjust"),
        ("deliver.sinks", "web"),
        ("deliver.notify",),
        ("deliver",),
        ("listen.supervision", "detector", "metrics"),
        ("listen", "doctor"),
        ("setup", "service"),
        ("cli",),
    ],
    "trainer": [
        ("run",),
        ("data",),
        ("data.clips", "data.layouts"),
        ("models",),
        ("asit", "students"),
        ("finetuning",),
        ("evaluation",),
        ("teachers",),
        ("distillation",),
        ("commands",),
    ],
}
"""Of each package, from the ground up: rooms that stand side by side. A room is a folder, or a file beside the folders;
the lab's commands are the files beside its folders. Arrows go down: a room imports what stands below it, and itself.
"""

PACKAGES: dict[str, set[str]] = {
    "asit_edge": {"asit_edge"},
    "trainer": {"asit_edge", "trainer"},
    "export": {"asit_edge", "trainer", "export"},
    "bench": {"asit_edge", "trainer", "export", "bench"},
}
"""What each package may import of ours, from the ground up."""

Arrows = Mapping[str, Set[str]]
"""What imports what: from each name to those that it imports."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name; packages' own `__init__` bear the folder's name."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def imported(file: Path) -> tuple[str, ...]:
    """The dotted names that a file imports, wherever in the file: also late, and for types only."""
    return tuple(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in modules() else node.module


@cache
def arrows() -> dict[str, frozenset[str]]:
    """Imports between our modules. The face of a package hands names on: what it names is no arrow of its own."""
    known = modules()
    faces = set(PACKAGES)
    return {
        name: frozenset(set(imported(file)) & set(known) - faces - {name})
        for name, file in known.items()
        if name not in faces
    }


def room(module: str) -> str:
    """Where a module lives, without its package: the room of `FLOORS` that fits best, "" if none does."""
    package, _, inner = module.partition(".")
    rooms = [one for floor in FLOORS.get(package, ()) for one in floor]
    fitting = [one for one in rooms if inner == one or inner.startswith(f"{one}.")]
    if not fitting and package == "trainer" and "." not in inner:
        return "commands"
    return max(fitting, key=len, default="")


def floor(package: str, wanted: str) -> int:
    """From 0, the ground."""
    return next(number for number, rooms in enumerate(FLOORS[package]) if wanted in rooms)


def folder(module: str) -> str:
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def between(graph: Arrows, group: Mapping[str, str]) -> dict[str, set[str]]:
    """Arrows between groups of names: those that cross from one to another."""
    crossing: dict[str, set[str]] = {name: set() for name in group.values()}
    for source, targets in graph.items():
        for target in targets:
            if source in group and target in group and group[source] != group[target]:
                crossing[group[source]].add(group[target])
    return crossing


def circles(graph: Arrows) -> list[list[str]]:
    """Names that reach each other, in groups (strongly connected components of more than one, Tarjan's)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph.get(name, ()):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def sizes(file: Path) -> Iterator[tuple[str, str, int]]:
    """Kind ("class" or "function"), name and lines of every definition in a file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name, (node.end_lineno or 0) - node.lineno + 1
        elif isinstance(node, ast.FunctionDef):
            yield "function", node.name, (node.end_lineno or 0) - node.lineno + 1
