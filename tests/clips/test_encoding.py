"""Clips as files: FLAC is what was heard, Opus at any rate, tags say what it is."""

import logging
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.clips.encoding import comment_of, encode, possible
from asit_edge.clips.tape import Cut
from tests.conftest import require, tones

TAGS = {"title": "Baby cry, infant cry", "artist": "hall/mic", "date": "2026-05-01", "comment": "1d4fa3b2-é"}


def cut(rate: int, seconds: float = 1.5) -> Cut:
    samples = (tones((500, seconds), rate=rate) * 32_767).astype(np.int16)
    return Cut(0.0, rate, [samples[:700], samples[700:]])


@pytest.mark.parametrize("rate", [4_000, 8_000, 16_000, 44_100, 48_000, 192_000, 384_000])
def test_flac_is_what_was_heard_with_its_tags(rate: int) -> None:
    whole = encode(cut(rate), "flac", TAGS)
    samples, found = soundfile.read(BytesIO(whole), dtype="int16")
    assert found == rate
    np.testing.assert_array_equal(samples, cut(rate).samples)
    with soundfile.SoundFile(BytesIO(whole)) as file:
        assert {name: getattr(file, name) for name in TAGS} == TAGS


@pytest.mark.parametrize("rate", [4_000, 8_000, 16_000, 44_100, 48_000, 96_000])
def test_opus_is_as_long_and_sounds_the_same(rate: int) -> None:
    require("OPUS" in soundfile.available_subtypes("OGG"), "a libsndfile that writes Opus")
    whole = encode(cut(rate), "opus", TAGS)
    samples, found = soundfile.read(BytesIO(whole))
    assert len(samples) / found == pytest.approx(1.5, abs=0.05)
    spectrum = np.abs(np.fft.rfft(samples[: len(samples) // 2]))
    assert np.argmax(spectrum) * found / (len(samples) // 2) == pytest.approx(500, abs=5)
    assert len(whole) < len(encode(cut(rate), "flac", TAGS)) or rate < 8_000


def test_a_minute_is_encoded_whole() -> None:
    for form in ("flac", possible("opus")):
        samples, rate = soundfile.read(BytesIO(encode(cut(16_000, 60), form, TAGS)))
        assert len(samples) / rate == pytest.approx(60, abs=0.05)


def test_without_opus_clips_are_flac_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(soundfile, "available_subtypes", lambda _: {"VORBIS": "Vorbis"})
    with caplog.at_level(logging.WARNING):
        assert possible("opus") == "flac"
        assert possible("flac") == "flac"
    [line] = caplog.messages
    assert line.startswith("clips.format: libsndfile ")
    assert line.endswith("cannot write Opus (1.0.29 and later can); clips are FLAC")


def test_what_is_no_sound_file_has_no_comment(tmp_path: Path) -> None:
    (tmp_path / "x.flac").write_bytes(b"fLaC and nothing")
    assert comment_of(str(tmp_path / "x.flac")) == comment_of(str(tmp_path / "absent.flac")) == ""
