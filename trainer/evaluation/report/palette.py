"""One colour a class, the same in every table and picture of a page."""

import colorsys
from collections.abc import Iterator, Mapping, Sequence

import matplotlib

FIRST = 20
"""Classes whose colours are told apart at a glance; those of the data come first."""

GOLDEN = 0.618034
"""Of the circle of hues: steps of it never come close to where they have been."""

Palette = Mapping[str, str]
"""`#rrggbb` by class."""


def palette_of(labels: Sequence[str]) -> Palette:
    """In the order of the classes, so that each keeps its colour when others come after it."""
    return dict(zip(labels, _colours(len(labels)), strict=True))


def _colours(count: int) -> Iterator[str]:
    strong = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for place in range(count):
        if place < FIRST:  # the ten full ones, then the ten pale ones
            red, green, blue = strong[2 * place if place < 10 else 2 * place - 19]
        else:
            red, green, blue = colorsys.hls_to_rgb(GOLDEN * place % 1, 0.35 + 0.12 * (place % 3), 0.65)
        yield f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
