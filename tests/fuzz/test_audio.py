"""Any bytes in an audio file are heard, or named in one line: headers mutated, cut off, with sizes that are wrong."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from asit_edge.audio.sources import audio_file
from asit_edge.audio.sources.audio_file import AudioFile
from asit_edge.detect.chunker import Chunker
from asit_edge.errors import AsitEdgeError
from asit_edge.model.frontend import FrontEnd
from tests.fuzz.budget import MINUTES, corpus, fuzz

LONGEST = 1 << 22
"""Samples; no file of the corpus holds as many, whatever its header says."""

FILES = corpus("audio")
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 16, 24, 32, 64, 100, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000]
NUMBERS += [0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 62, (1 << 63) - 1, (1 << 64) - 1]
NAMES = [b"RIFF", b"RF64", b"WAVE", b"fmt ", b"data", b"ds64", b"LIST", b"fact", b"JUNK", b"FORM", b"AIFF", b"AIFC"]
NAMES += [b"COMM", b"SSND", b"fLaC", b"OggS", b".snd", b"dns.", b"ID3\4", b"TAG", b"Xing", b"\xff\xfb\x90\x64"]
FORMATS = ["<B", "<H", ">H", "<I", ">I", "<Q", ">Q"]

Edit = tuple[int, bytes, int]
"""Where, what, and how many bytes it takes the place of."""


def packed(form: str, number: int) -> bytes:
    return struct.pack(form, number & ((1 << 8 * struct.calcsize(form)) - 1))


CONTENT = st.one_of(
    st.builds(packed, st.sampled_from(FORMATS), st.sampled_from(NUMBERS) | st.integers(0, (1 << 64) - 1)),
    st.sampled_from(NAMES),
    st.binary(max_size=12),
)
PLACES = st.integers(0, 64) | st.integers(0, 300) | st.integers(0, 6_000)
EDITS = st.lists(st.tuples(PLACES, CONTENT, st.sampled_from([None, None, None, 0, 1, 4, 8, 100])), max_size=6)
INPUTS = st.tuples(st.sampled_from(FILES), EDITS, st.none() | st.integers(0, 6_000), st.booleans(), st.integers(0, 99))
"""A file, edits (None: as many bytes as are put there), where it is cut off, whether it is there twice."""


def edited(content: bytes, edits: list[tuple[int, bytes, int | None]]) -> bytes:
    for at, put, taken in edits:
        content = content[:at] + put + content[at + (len(put) if taken is None else taken) :]
    return content


def hear(file: Path) -> None:
    """Whoever opens it gets finite samples that can be resampled and looked at, or one line."""
    try:
        audio = AudioFile(file)
    except AsitEdgeError as error:
        assert "\n" not in str(error)
        return
    try:
        chunker = Chunker(FrontEnd(), 16, audio.rate)
        total = 0
        for number, samples in enumerate(audio.mono(8_000)):
            assert np.isfinite(samples).all()
            total += len(samples)
            assert total < LONGEST
            if number < 2:
                chunker.push(samples)
        chunker.flush()
    except AsitEdgeError as error:
        assert "\n" not in str(error)
    finally:
        audio.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_was_found_is_heard_or_named(file: Path) -> None:
    hear(file)


def test_any_bytes_are_heard_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = audio_file.ffmpeg
    known = {file: file.read_bytes() for file in FILES}

    def target(value: tuple[Path, list[tuple[int, bytes, int | None]], int | None, bool, int]) -> None:
        file, edits, length, twice, chance = value
        content = edited(known[file], edits)[:length]
        path = tmp_path / f"fuzzed{file.suffix}"
        path.write_bytes(content * 2 if twice else content)
        # A process for each file is slow: ffmpeg is asked for few of those that are for it.
        monkeypatch.setattr(audio_file, "ffmpeg", found if MINUTES and chance == 0 else lambda: None)
        hear(path)

    fuzz(target, INPUTS, few=400)
