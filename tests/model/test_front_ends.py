"""What models take: log-mel or samples, in blocks of any size the same as at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from asit_edge.model.front_ends import AnyFrontEnd, Waveform, frames_of, open_framer
from asit_edge.model.frontend import FrontEnd

READ: TypeAdapter[FrontEnd | Waveform] = TypeAdapter(AnyFrontEnd)
SAMPLES = np.random.default_rng(0).normal(size=5_000).astype(np.float32)


@pytest.mark.parametrize(
    "spec", [Waveform(sample_rate=16_000, hop=240), FrontEnd(mels=16)], ids=["waveform", "log_mel"]
)
@given(cuts=st.lists(st.integers(0, 5_000), max_size=6))
def test_blocks_of_any_size_give_the_frames_of_the_whole(spec: FrontEnd | Waveform, cuts: list[int]) -> None:
    framer = open_framer(spec)
    frames = np.concatenate([framer.push(block) for block in np.split(SAMPLES, sorted(cuts))])
    assert np.array_equal(frames, frames_of(spec, SAMPLES))
    assert frames.shape == (spec.frames_in(5_000), spec.width)
    assert framer.pending == 5_000 - spec.hop * len(frames)


def test_a_waveforms_frames_are_its_samples() -> None:
    spec = Waveform(sample_rate=16_000, hop=7)
    assert np.array_equal(frames_of(spec, SAMPLES).reshape(-1), SAMPLES[: spec.samples_for(714)])
    framer = open_framer(spec)
    framer.push(SAMPLES[:10])
    framer.reset()
    assert framer.pending == 0


def test_a_manifest_that_does_not_say_has_log_mel() -> None:
    assert READ.validate_python({"mels": 64}) == FrontEnd(mels=64)
    assert READ.validate_python({"type": "waveform", "sample_rate": 32_000, "hop": 640}).width == 640
    assert "type" not in FrontEnd().model_dump()  # bundles and checkpoints stay as they were
    with pytest.raises(ValidationError, match="type must be log_mel or waveform"):
        READ.validate_python({"type": "mfcc"})
