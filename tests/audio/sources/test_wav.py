"""WAV files whose headers are not what is there."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.sources.wav import LEAST_REST, examine

RATE = 16_000
SAMPLES = np.random.default_rng(0).integers(-20_000, 20_000, 3 * LEAST_REST).astype("<i2")
RAW = SAMPLES.tobytes()
FORM = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)


def chunk(name: bytes, contents: bytes, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(contents)) + contents + (b"\0" if pad and len(contents) % 2 else b"")


def file(*parts: bytes, size: int = 0) -> io.BytesIO:
    return io.BytesIO(b"RIFF" + struct.pack("<I", size) + b"WAVE" + b"".join(parts))


def data(size: int, raw: bytes = RAW) -> bytes:
    return b"data" + struct.pack("<I", size) + raw


def heard(given: io.BytesIO) -> np.ndarray:
    found = examine(given)
    assert found is not None
    return soundfile.read(found.repaired(given), dtype="int16")[0]


@pytest.mark.parametrize("size", [0, 2, len(RAW) // 2, len(RAW), len(RAW) + 44, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFDB])
def test_what_is_there_is_heard_whatever_size_the_header_says(size: int) -> None:
    assert (heard(file(FORM, data(size))) == SAMPLES).all()


@pytest.mark.parametrize(
    ("size", "said"), [(0, 0), (10, 10), (len(RAW) + 44, len(RAW) + 44), (0x7FFFF800, None), (0xFFFFFFFF, None)]
)
def test_it_is_known_what_the_header_says(size: int, said: int | None) -> None:
    found = examine(file(FORM, data(size)))
    assert found is not None
    assert (found.said, found.there) == (said, len(RAW))
    assert found.seconds(found.there) == pytest.approx(len(SAMPLES) / RATE)


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("length", [0, 1, 16, 17, 393_163])
def test_chunks_before_the_samples_may_lack_their_padding(pad: bool, length: int) -> None:
    assert (heard(file(FORM, chunk(b"LIST", b"a" * length, pad), data(len(RAW)))) == SAMPLES).all()
    assert (heard(file(chunk(b"bext", b"\0" * length, pad), FORM, data(len(RAW)))) == SAMPLES).all()


def test_a_chunk_of_a_wrong_size_does_not_hide_the_samples() -> None:
    assert (heard(file(FORM, b"LIST" + struct.pack("<I", 0xFFFFFF) + b"INFO", data(len(RAW)))) == SAMPLES).all()


@pytest.mark.parametrize(
    "behind",
    [
        chunk(b"LIST", b"INFO" + b"x" * 9000),
        chunk(b"abcd", b"x" * 5000) + chunk(b"id3 ", b"ID3" + b"y" * 5000),
        chunk(b"iXML", b"x" * 9000)[:6000],
        b"TAG" + b"\0" * 5000,
        b"\xff" * (LEAST_REST - 1),
    ],
)
def test_what_is_behind_the_samples_is_not_heard_if_it_is_no_samples(behind: bytes) -> None:
    assert (heard(file(FORM, data(len(RAW)), behind)) == SAMPLES).all()


def test_sizes_of_64_bits_are_known() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(RAW), len(SAMPLES), 0))
    given = io.BytesIO(b"RF64\xff\xff\xff\xffWAVE" + sizes + FORM + data(0xFFFFFFFF) + chunk(b"LIST", b"x" * 9000))
    assert (heard(given) == SAMPLES).all()


@pytest.mark.parametrize("given", [b"", b"RIFF", b"RIFF0000WAVE", b"RIFF0000AVI fmt ", b"OggS" + b"\0" * 99])
def test_what_is_no_wav_is_not_looked_at(given: bytes) -> None:
    assert examine(io.BytesIO(given)) is None


@given(
    st.lists(st.sampled_from([b"RIFF", b"WAVE", b"data", b"fmt ", FORM, b"\xff" * 4, b"\0" * 7, b"LIST"]), max_size=12)
)
def test_no_header_is_too_odd(parts: list[bytes]) -> None:
    given = io.BytesIO(b"RIFF\0\0\0\0WAVE" + b"".join(parts))
    found = examine(given)
    assert found is None or found.data + found.there <= len(given.getvalue())


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 300)), max_size=20))
def test_a_better_header_is_read_like_a_file(reads: list[tuple[int, int]]) -> None:
    given = file(FORM, data(0, RAW[:400]))
    found = examine(given)
    assert found is not None
    spliced = found.repaired(given)
    whole = spliced.read()
    assert whole.endswith(RAW[:400])
    for at, count in reads:
        spliced.seek(at)
        assert spliced.read(count) == whole[at : at + count]
