"""The page's colours: text can be read on its ground, in light and in dark (WCAG 2.2, AA)."""

import re
from pathlib import Path

import pytest

import asit_edge.web

SHEET = (Path(asit_edge.web.__file__).parent / "static" / "page.css").read_text(encoding="utf-8")

TEXTS = [
    *((text, ground) for text in ("ink", "muted", "accent", "bad") for ground in ("bg", "surface")),
    *((mood, f"{mood}-soft") for mood in ("good", "warn", "bad", "accent")),
    ("muted", "sunken"),
    ("ink", "sunken"),
    ("accent-ink", "accent"),
    ("good", "surface"),
    ("bg", "ink"),
    ("muted", "spectrogram"),
    ("ink", "spectrogram"),
]
"""What is written on what."""

PARTS = [("edge", "surface"), ("edge", "bg"), ("accent", "surface"), ("accent", "sunken"), ("accent", "spectrogram")]
"""What has to be seen, though it is no text."""


def colours(theme: str) -> dict[str, str]:
    """All that hold in a theme: dark ones replace light ones."""
    blocks = re.findall(r"(:root(?:\[data-theme=\"dark\"\])?) \{(.*?)\}", SHEET, flags=re.DOTALL)
    found: dict[str, str] = {}
    for selector, block in blocks:
        if "dark" not in selector or theme == "dark":
            found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read_and_seen(theme: str) -> None:
    known = colours(theme)
    found = {
        f"{one} on {other}": round(contrast(known[one], known[other]), 2)
        for pairs, least in ((TEXTS, 4.5), (PARTS, 3.0))
        for one, other in pairs
        if contrast(known[one], known[other]) < least
    }
    assert found == {}


def test_every_colour_of_the_light_is_one_of_the_dark() -> None:
    light, dark = colours("light"), colours("dark")
    assert [name for name in light if light[name] == dark[name]] == []
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
