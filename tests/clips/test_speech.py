"""Speech: what is, which models know it, and that in doubt it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.clips.ears import Ears
from asit_edge.clips.speech import NEAR, SETTLED, SpeechLedger, is_speech, reach, speech_columns
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from asit_edge.model.bundle import bundled, load_bundle
from tests.clips.parts import speaking_bundle

CHUNK = 0.32


def scores(speech: float) -> np.ndarray:
    return np.array([[0.99, 0.0], [0.99, speech]], np.float32)


def ledger(spoken: set[int], chunks: range, seconds: float = 1e6) -> SpeechLedger:
    found = SpeechLedger([1], 0.1, CHUNK, seconds)
    for number in chunks:
        found.score((number + 1) * CHUNK, scores(0.11 if number in spoken else 0.09))
    return found


@given(st.sets(st.integers(0, 99), max_size=3), st.floats(0, 25), st.floats(0.1, 10))
def test_spoken_is_what_was_spoken_within_it_or_near(spoken: set[int], begin: float, length: float) -> None:
    book = ledger(spoken, range(100))
    near = [one for one in spoken if one * CHUNK < begin + length + NEAR and (one + 1) * CHUNK > begin - NEAR]
    assert book.spoken(begin, begin + length) == bool(near)
    assert book.until == pytest.approx(32.0)


@given(st.sets(st.integers(0, 29), max_size=4), st.floats(0, 8), st.floats(0.1, 3))
def test_covered_is_what_was_looked_at_without_a_hole(missing: set[int], begin: float, length: float) -> None:
    book = SpeechLedger([1], 0.1, CHUNK, 1e6)
    for number in range(30):
        if number not in missing:
            book.score((number + 1) * CHUNK, scores(0))
    end = begin + length
    holes = [(one * CHUNK, (one + 1) * CHUNK) for one in missing] + [(30 * CHUNK, 1e9)]
    inside = max((min(end, to) - max(begin, since) for since, to in holes), default=0)
    if inside > 0.06:
        assert not book.covered(begin, end)
    elif inside <= 0:
        assert book.covered(begin, end)


def test_what_is_long_over_is_forgotten() -> None:
    book = ledger({0}, range(1_000), seconds=30)
    assert not book.spoken(0, 1)
    assert not book.covered(0, 1)
    assert book.covered(295, 319)


def test_a_clip_ends_where_nobody_has_listened_on() -> None:
    ears = Ears({"mic": ledger(set(), range(100))}, [])
    assert ears.believed("mic", 10.0) == 10.0
    assert ears.believed("mic", 31.9) == pytest.approx(32.0 - SETTLED)
    assert not ears.settled("mic", 32.0 - NEAR + 0.1)
    assert ears.settled("mic", 32.0 - NEAR - 0.1)


def test_speech_that_one_microphone_hears_counts_for_all_of_its_room() -> None:
    books = {"left": ledger(set(), range(100)), "right": ledger({50}, range(100)), "yard": ledger(set(), range(100))}
    ears = Ears(books, [["left", "right"]])
    spoken = {source: ears.spoken(source, 15, 17) for source in books}
    assert spoken == {"left": True, "right": True, "yard": False}


@pytest.mark.parametrize("name", bundled())
def test_the_bundled_models_know_speech(name: str) -> None:
    manifest = load_bundle(bundled()[name]).manifest
    known = {manifest.labels[column].name for column in speech_columns(manifest)}
    assert known == {"Speech", "Child speech, kid speaking"}
    assert reach(manifest) == pytest.approx(0.32)


def test_a_model_of_ones_own_knows_it_by_name() -> None:
    assert is_speech(Label(name="speech", id="speech"))
    assert is_speech(Label(name="Gerede", id="/m/09x0r"))
    assert not is_speech(Label(name="Dog", id="/m/0bt9lr"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "clips.speech: never needs a model that knows speech, and tones has no label for it; choose another"),
        ({"events": {"silence_gate": -70}}, "below events.silence_gate it is not; set events.silence_gate to null"),
    ],
)
def test_what_cannot_keep_the_promise_is_refused(
    tmp_path: Path, tone_bundle: Path, more: dict[str, Any], message: str
) -> None:
    bundle = speaking_bundle(tmp_path / "speaking") if more else tone_bundle
    config = Config.model_validate({"clips": {"speech": "never"}, **more})
    with pytest.raises(WrongUse) as refused:
        Ears.open(config, load_bundle(bundle).manifest, 60)
    assert message in str(refused.value)
