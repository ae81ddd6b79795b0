"""What a shell offers when Tab is pressed: bundles, labels, sources and taught sounds by their names.

Nothing is asked of a model, a device or a broker. Where a file cannot be read there is nothing to offer.
"""

import os
import re
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path

import typer

from asit_edge.errors import AsitEdgeError

Completion = Callable[[typer.Context, str], list[str]]


class _InBash(str):
    """A name as it is typed in bash, blanks behind backslashes: it begins with what was typed, as that is without."""

    def startswith(self, *_: object) -> bool:
        return True


def bundles(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those of the package by name, and folders."""
    inside = (one.name for one in files("asit_edge").joinpath("bundles").iterdir() if one.is_dir())
    folder, _, begun = incomplete.rpartition("/")
    try:
        there = sorted(one for one in Path(folder + "/" if "/" in incomplete else ".").iterdir() if one.is_dir())
    except OSError:
        there = []
    prefix = f"{folder}/" if "/" in incomplete else ""
    own = [f"{prefix}{one.name}/" for one in there if begun or not one.name.startswith(".")]
    return _offered([*sorted(inside), *own], incomplete)


def labels(ctx: typer.Context, incomplete: str) -> list[str]:
    """Of the bundle that is named or configured, and what was taught."""
    return _offered([*_asked(lambda: _labels(ctx)), *_asked(_taught)], incomplete)


def taught(ctx: typer.Context, incomplete: str) -> list[str]:
    """Sounds that were taught on this device."""
    return _offered(_asked(_taught), incomplete)


def sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those that are configured."""
    return _offered(_asked(lambda: _sources(ctx)), incomplete)


def schemas(ctx: typer.Context, incomplete: str) -> list[str]:
    """Payloads and files that have a JSON Schema."""
    return _offered(_asked(_schemas), incomplete)


def _labels(ctx: typer.Context) -> Iterable[str]:
    from asit_edge.config.file import load_config
    from asit_edge.model.bundle import MANIFEST, find_bundle
    from asit_edge.yaml_text import read_yaml

    model = ctx.params.get("model") or load_config(ctx.params.get("config")).model
    manifest = find_bundle(model) / MANIFEST
    return [label["name"] for label in read_yaml(manifest.read_text(encoding="utf-8"))[1]["labels"]]


def _taught() -> Iterable[str]:
    from asit_edge.teach.shelf import Shelf

    return [sound.name for sound in Shelf().sounds() if sound.corrects is None]


def _sources(ctx: typer.Context) -> Iterable[str]:
    from asit_edge.config.file import load_config

    return [source.name for source in load_config(ctx.params.get("config")).sources]


def _schemas() -> Iterable[str]:
    from asit_edge.messages.schema import MODELS

    return MODELS


def _asked(ask: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return list(ask())
    except (AsitEdgeError, OSError, ValueError, LookupError, TypeError):  # a file that is away, or no such file
        return []


def _offered(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that begin so, in any case."""
    fitting = [name for name in names if name.casefold().startswith(incomplete.casefold())]
    words = os.environ.get("COMP_WORDS", "").split("\n")
    typed = words[min(int(os.environ.get("COMP_CWORD", "0") or 0), len(words) - 1)]
    if os.environ.get("_ASIT_EDGE_COMPLETE") != "complete_bash" or typed[:1] in ("'", '"'):
        return fitting
    return [_InBash(re.sub(r"([^\w@%+=:,./-])", r"\\\1", name)) for name in fitting]
