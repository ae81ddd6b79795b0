"""A bundle's negatives: read as they were written, refused in words where they are damaged or do not fit."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.bundle import Bundle, load_bundle
from asit_edge.teach.space import NEGATIVES, load_axes, load_space
from tests.teach.teachable import AXES


def test_directions_have_unit_length_and_loudness_does_not_count(teachable: Path) -> None:
    axes = load_axes(load_bundle(teachable))
    embeddings = np.random.default_rng(0).standard_normal((6, 128)).astype(np.float32)
    placed = axes.place(embeddings)
    assert np.linalg.norm(placed, axis=1) == pytest.approx(1)
    assert axes.place(axes.mean + 3 * (embeddings - axes.mean)) == pytest.approx(placed, abs=1e-4)


def test_similarities_are_cosines_with_every_vector(teachable: Path) -> None:
    space = load_space(load_bundle(teachable))
    direction = space.vectors[7].astype(np.float32) / np.linalg.norm(space.vectors[7].astype(np.float32))
    found = space.similarities(direction)
    assert found.shape == (len(space.vectors),)
    assert found[7] == pytest.approx(1, abs=0.02)
    assert space.hours == pytest.approx(240 * 5 * 3.2 / 3600)


def test_a_bundle_without_negatives_says_which_to_take(tone_stream: Path) -> None:
    with pytest.raises(WrongUse, match=r"cannot be taught.*asit-warm-tiny"):
        load_space(load_bundle(tone_stream))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(place=st.floats(0, 1), value=st.integers(0, 255), length=st.floats(0, 1))
def test_whatever_the_file_holds_it_is_used_or_refused_in_words(
    teachable: Path, tmp_path: Path, place: float, value: int, length: float
) -> None:
    folder = tmp_path / "bundle"
    if not folder.exists():
        shutil.copytree(teachable, folder)
    content = bytearray((teachable / NEGATIVES).read_bytes())
    content[min(int(place**3 * len(content)), len(content) - 1)] = value
    cut = len(content) if length > 0.3 else int(length * len(content))
    (folder / NEGATIVES).write_bytes(bytes(content[:cut]))
    manifest = load_bundle(teachable).manifest
    try:
        space = load_space(Bundle(folder, manifest))
    except AsitEdgeError as error:
        assert "copy the whole bundle again" in str(error)
    else:
        assert space.vectors.shape[1] == AXES
