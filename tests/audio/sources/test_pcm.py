"""Raw samples from a pipe: every format, any cut, never faster than they can have been heard."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.sources import pcm
from asit_edge.audio.sources.pcm import PipeReader, decode, frame_size


@pytest.mark.parametrize(
    ("form", "data", "expected"),
    [
        ("s16le", np.array([0, 16_384, -32_768], "<i2").tobytes(), [0, 0.5, -1]),
        ("s32le", np.array([0, 2**30, -(2**31)], "<i4").tobytes(), [0, 0.5, -1]),
        ("f32le", np.array([0, 0.5, -1], "<f4").tobytes(), [0, 0.5, -1]),
        ("u8", bytes([128, 192, 0]), [0, 0.5, -1]),
    ],
)
def test_samples_go_from_minus_one_to_one(form: pcm.Format, data: bytes, expected: list[float]) -> None:
    assert decode(data, 1, form)[:, 0].tolist() == expected
    assert frame_size(2, form) * 3 == 2 * len(data)


@given(st.lists(st.integers(1, 13), max_size=30))
def test_frames_that_are_cut_in_two_are_put_together(cuts: list[int]) -> None:
    samples = np.arange(120, dtype="<i2").reshape(-1, 2)
    data = samples.tobytes()
    read, write = os.pipe()
    reader = PipeReader(read, 16_000, 2, "s16le", lambda: "")
    try:
        at = 0
        for cut in [*cuts, len(data)]:
            os.write(write, data[at : at + cut])
            at += cut
    finally:
        os.close(write)
    reader._thread.join(5)
    os.close(read)
    assert reader.ended == ""
    assert np.array_equal(reader.ring.read(100).samples * 32_768, samples.astype(np.float32))


def test_an_eager_writer_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcm, "CATCH_UP", 0.2)
    read, write = os.pipe()
    reader = PipeReader(read, 16_000, 1, "s16le", lambda: "")

    def pour() -> None:
        try:
            for _ in range(1_000):
                os.write(write, bytes(3_200))
        except OSError:
            pass

    thread = threading.Thread(target=pour, daemon=True)
    began = time.monotonic()
    thread.start()
    try:
        while reader.ring.written < 8_000:
            time.sleep(0.01)
        time.sleep(0.1)
        passed = time.monotonic() - began
        assert reader.ring.written / 16_000 <= passed + 0.2 + 0.1
    finally:
        reader.stop()
        os.close(read)
        thread.join(5)
        os.close(write)
