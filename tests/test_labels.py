"""Names that go into topics and ids."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.labels import slug
from trainer.data.audioset import audioset_ids, label_for


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Crowing, cock-a-doodle-doo", "crowing_cock_a_doodle_doo"),
        ("Baby cry, infant cry", "baby_cry_infant_cry"),
        ("Geräusch", "gerausch"),
        ("#/+", "x232f2b"),
    ],
)
def test_known_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text(min_size=1))
def test_a_slug_is_safe_and_stable(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", slug(name))
    assert slug(slug(name)) == slug(name)


def test_audiosets_classes_are_all_there_and_told_apart() -> None:
    ids = audioset_ids()
    assert len(ids) == 527
    assert len({slug(name) for name in ids}) == 527
    assert label_for("Dog").id == "/m/0bt9lr"
    assert label_for("My coffee machine").id == "my_coffee_machine"
