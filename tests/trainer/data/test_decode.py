"""Reading files and parts of them, by libsndfile or ffmpeg; what is said of a broken one."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import AsitEdgeError
from tests.conftest import RATE, require_programs, tones
from trainer.data.decode import LazyClips, decode, duration
from trainer.data.recording import Recording


def test_a_part_of_a_file_is_read_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.repeat(np.arange(10) / 20, 8_000), 8_000)
    samples = decode(tmp_path / "a.wav", 16_000, start=3.0, seconds=2.0)
    assert len(samples) == 32_000
    assert samples[8_000] == pytest.approx(0.15, abs=1e-3)
    assert samples[24_000] == pytest.approx(0.20, abs=1e-3)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    with pytest.raises(AsitEdgeError, match=r"b\.wav: cannot be read as audio"):
        decode(tmp_path / "b.wav", 16_000)
    with pytest.raises(AsitEdgeError, match=r"b\.wav: cannot be read as audio"):
        duration(tmp_path / "b.wav")


def test_lazy_clips_are_parts_of_files(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 16_000)
    clips = LazyClips([Recording(tmp_path / "a.wav"), Recording(tmp_path / "a.wav", start=0.5, seconds=1.0)], 8_000)
    assert [len(clip) for clip in clips] == [16_000, 8_000]
    assert duration(tmp_path / "a.wav") == 2.0


def test_without_ffmpeg_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.wav").write_bytes(b"no audio")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(AsitEdgeError, match=r"b\.wav: cannot be read as audio .*; ffmpeg, .* is not installed"):
        decode(tmp_path / "b.wav", 16_000)


def test_what_libsndfile_does_not_know_ffmpeg_decodes(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(np.arange(32_000) / 5), 16_000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.m4a"], check=True)
    assert len(decode(tmp_path / "a.m4a", 8_000)) == pytest.approx(16_000, abs=2_000)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    with pytest.raises(AsitEdgeError, match=r"b\.wav: cannot be read as audio .*; ffmpeg: "):
        decode(tmp_path / "b.wav", 16_000)


def test_what_libsndfile_does_not_know_ffmpeg_reads(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    samples = tones((500, 2))
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / "a.m4a"], check=True)
    whole = decode(tmp_path / "a.m4a", RATE)
    assert len(whole) == pytest.approx(2 * RATE, abs=0.1 * RATE)
    assert np.abs(whole[:RATE] - samples[:RATE]).mean() < 0.05
    part = decode(tmp_path / "a.m4a", RATE, start=0.5, seconds=1.0)
    assert np.array_equal(part, whole[RATE // 2 : RATE // 2 + RATE])


def test_without_ffmpeg_the_remedy_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my bell.m4a").write_bytes(b"not what libsndfile knows")
    monkeypatch.setattr("trainer.data.decode.shutil.which", lambda name: None)
    with pytest.raises(
        AsitEdgeError, match=r"my bell\.m4a: cannot be read as audio.*ffmpeg -i '.*my bell\.m4a' '.*\.wav'"
    ):
        decode(tmp_path / "my bell.m4a", RATE)
