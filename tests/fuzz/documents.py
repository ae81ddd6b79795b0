"""YAML documents that begin with a good one: values in them replaced by odd ones, parts moved, bytes put in between."""

import copy
import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

# fmt: off
ODD_TEXTS = [
    "", " ", "\n", "\0", "\ud800", "\x7f", "ä", "音", "\u202e", "a\nb", "x" * 300, "x" * 70_000, "..", ".", "/", "~",
    "~nobody/x", "a/b", "#", "+", "$", "${HOME}", "${NOBODY}", "http://[", "http://a:b/", "http://h/ä b", "No", "22:00",
    "25:00", "1e5", "usb:", "::1", "a" * 64 + ".b", ".a", "xn--", "1:2:3", "fp16", "--help", "-", "\\", "%s", "{}",
]
ODD_NUMBERS = [
    0, -1, 1, 2, 3, 7, 64, 65, 255, 1_000, 65_536, 10**9, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64, 10**30, 10**400,
    0.0, -0.0, 0.5, 1.0, 1e-300, 1e-9, 1e9, 1e17, 1e300, 1.7e308, float("inf"), float("-inf"), float("nan"),
]
TOKENS = [
    "!!timestamp x ", "!!int ", "!!float ", "!!bool ", "!!null ", "!!binary ", "!!set ", "!!omap ", "!!pairs ", "!x ",
    "!!python/object:os.system ", "&a [*a]", "&x ", "*x", "<<: ", "? [a]\n: ", "? {a: b}\n: ", "%YAML 1.1\n", "---\n",
    "...\n", "\t", "\0", "\r", "- ", ": ", "# ", "'", '"', "|\n", ">\n", "{", "[", "]", "}", "\ufeff", "\x85", "\u2028",
    "\x1b", "1" * 5_000, "0x" + "f" * 5_000, "[" * 3_000, "{a: " * 300, "1_0", "0o7", ".inf", "2026-13-45",
    '"\\ud800"', '"\\0"', "\n",
]
# fmt: on
ODD = st.one_of(
    st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS]),
    st.sampled_from([None, True, False, [], {}, [None], {"": None}, {5: 5}, [[]], b"\xff", datetime.date(2026, 1, 1)]),
    st.text(max_size=12),
    st.integers(),
    st.floats(),
    st.lists(st.sampled_from([*ODD_TEXTS, *ODD_NUMBERS]), max_size=3),
)


class Edit(NamedTuple):
    """`place` counts values, or characters; it wraps around."""

    place: int
    kind: str
    value: Any


EDITS = st.lists(
    st.builds(Edit, st.integers(0, 400), st.sampled_from(["put", "put", "put", "drop", "copy", "rename"]), ODD),
    max_size=4,
)
SCRIBBLES = st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(TOKENS), st.integers(0, 8)), max_size=2)
"""In the text: where, what, and how many characters it takes the place of."""


def document(good: dict[str, Any], edits: list[Edit], scribbles: list[tuple[int, str, int]]) -> bytes:
    """What such edits make of a good document."""
    text = yaml.safe_dump(edited(good, edits), sort_keys=False)
    for at, put, taken in scribbles:
        at %= len(text) + 1
        text = text[:at] + put + text[at + taken :]
    return text.encode("utf-8", "surrogatepass")


def edited(good: dict[str, Any], edits: list[Edit]) -> dict[str, Any]:
    """The same values but for the edits."""
    value = copy.deepcopy(good)
    for edit in edits:
        _apply(value, edit)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key below."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from _places(inner)


def _apply(value: Any, edit: Edit) -> None:
    places = list(_places(value))
    if not places:
        return
    container, key = places[edit.place % len(places)]
    if edit.kind == "put":
        container[key] = copy.deepcopy(edit.value)
    elif edit.kind == "drop":
        del container[key]
    elif edit.kind == "copy":
        other, at = places[(edit.place * 7 + 1) % len(places)]
        container[key] = copy.deepcopy(other[at])
    elif isinstance(container, dict) and isinstance(edit.value, (str, int, float)):
        container[edit.value] = container.pop(key)
