"""What a notification says: the templates' fields, whatever names and labels are like, within each service's limits."""

import time
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from asit_edge.config.notifications import FIELDS, NtfySink
from asit_edge.deliver.notify.note import cut, fields, link_of, note_of
from asit_edge.messages.event import Event
from tests.store.samples import event


def settings(**more: Any) -> NtfySink:
    return NtfySink.model_validate({"type": "ntfy", "server": "http://h", "topic": "t", **more})


@pytest.fixture(autouse=True)
def _winter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()


def test_without_templates_it_says_what_where_and_when() -> None:
    note = note_of(event(), settings())
    assert (note.title, note.text) == ("Dog", "Heard by mic (hall) at 01:00:00, score 0.90")


def test_every_field_is_filled_in_and_what_is_not_known_is_empty() -> None:
    ended = event().model_copy(
        update={"type": "end", "duration": 2.88, "score": 0.1, "clip": "https://hall.local/clips/1.flac"}
    )
    every = "|".join(f"{{{field}}}" for field in FIELDS)
    assert note_of(ended, settings(message=every)).text == (
        "Dog|mic|hall|0.10|0.90|01:00:00|2.9 s|https://hall.local/clips/1.flac|end"
    )
    assert note_of(event(), settings(message=every)).text == "Dog|mic|hall|0.90|0.90|01:00:00|||new"
    assert note_of(event(), settings(message="{{{label}}}")).text == "{Dog}"
    assert note_of(event(), settings(message="{clip} ")).text == "Dog", "no service takes an empty message"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{lable}", r"there is no field \{lable\} \(valid: \{label\}, \{source\}, .*\{clip\}, \{type\}\)"),
        ("{}", r"there is no field \{\} \(valid"),
        ("{0}", "there is no field"),
        ("{label.__class__}", "there is no field"),
        ("{label[0]}", "there is no field"),
        ("{score:.0%}", r"a field is its name in braces and nothing else: \{score\}"),
        ("{label!r}", "nothing else"),
        ("{label:{source}}", "nothing else"),
        ("{label", "has a brace without its other one"),
        ("label}", "has a brace without its other one"),
    ],
)
def test_a_template_that_could_not_be_filled_in_is_refused_at_the_start(template: str, message: str) -> None:
    for key in ("title", "message"):
        with pytest.raises(ValidationError, match=message):
            settings(**{key: template})


def test_a_title_is_one_line() -> None:
    with pytest.raises(ValidationError, match="must be one line"):
        settings(title="{label}\nX-Priority: 5")
    assert note_of(event(), settings(message="{label}\n{source}")).text == "Dog\nmic", "a message may have several"


@pytest.mark.parametrize("label", ["Dog\r\nX-Evil: 1", "Dog\u2028", "\x1b[31mDog", "Dog\u202e", "\x00"])
def test_no_label_breaks_out_of_its_line(label: str) -> None:
    note = note_of(event().model_copy(update={"label": label, "source": label}), settings())
    assert note.title.isprintable()
    assert note.text.isprintable()


NAMES = st.text(max_size=60)
TEMPLATES = st.lists(
    st.one_of(
        st.sampled_from([f"{{{field}}}" for field in FIELDS]),
        st.text(max_size=8).map(lambda text: text.replace("{", "{{").replace("}", "}}")),
    ),
    min_size=1,
    max_size=8,
).map("".join)


def expected(template: str, values: dict[str, str]) -> str:
    """Written in another way: piece by piece."""
    out, rest = "", template
    while rest:
        if rest[:2] in ("{{", "}}"):
            out, rest = out + rest[0], rest[2:]
        elif rest[0] == "{":
            name, _, rest = rest[1:].partition("}")
            out += values[name]
        else:
            out, rest = out + rest[0], rest[1:]
    return out


@given(TEMPLATES, NAMES, NAMES, st.none() | st.text(max_size=30), st.floats(0, 1), st.none() | st.floats(0, 1e9))
def test_any_template_that_is_taken_is_filled_in_with_any_event(
    template: str, label: str, source: str, clip: str | None, score: float, duration: float | None
) -> None:
    heard = event().model_copy(
        update={"label": label, "source": source, "clip": clip, "score": score, "duration": duration}
    )
    values = fields(heard)
    assert tuple(values) == FIELDS
    for value in values.values():
        assert all(one.isprintable() or unicodedata.category(one) == "Zs" for one in value)
    assume(template)
    text = note_of(heard, settings(message=template)).text
    assert text == (expected(template, values).strip() or values["label"].strip() or "new")


@given(st.text(max_size=80), st.integers(4, 60))
def test_what_is_cut_fits_and_is_the_beginning(text: str, most: int) -> None:
    for encoding, unit in (("utf-8", 1), ("utf-16-le", 2), ("utf-32-le", 4)):
        text = "".join(one for one in text if not "\ud800" <= one <= "\udfff")
        kept = cut(text, most, encoding, unit)
        assert len(kept.encode(encoding)) <= most * unit
        assert kept == text or (kept.endswith("…") and text.startswith(kept[:-1]))
        assert kept == text or len(text.encode(encoding)) > most * unit


@pytest.mark.parametrize(
    ("clip", "link"),
    [
        ("https://hall.local:8080/clips/2026-05-01/mic/1.flac?x=1", True),
        ("http://[fe80::1]/1.flac", True),
        ("2026-05-01/mic/1.flac", False),
        ("/var/lib/asit-edge/clips/1.flac", False),
        ("javascript:alert(1)", False),
        ("https://", False),
        ("https://[/", False),
        ("https://hall.local/a b", False),
        ("https://hall.local/\r\nX: y", False),
        (f"https://hall.local/{'x' * 512}", False),
        (None, False),
    ],
)
def test_a_link_is_an_address_on_the_web(clip: str | None, link: bool) -> None:
    assert link_of(clip) == (clip if link else None)


def test_a_time_that_no_clock_shows_is_left_out() -> None:
    assert fields(Event.model_validate(event().model_dump(by_alias=True) | {"onset_epoch": 1e300}))["time"] == ""
