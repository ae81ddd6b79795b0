"""Audio files of every kind: heard as they are, or named; what is odd is said once."""

import logging
import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.audio.sources import audio_file
from asit_edge.audio.sources.audio_file import AudioFile
from asit_edge.errors import AsitEdgeError, WrongUse
from tests.conftest import RATE, require, require_programs, tones

SECONDS = 6.0
SOUND = tones((500, SECONDS)) + 0.05 * np.random.default_rng(1).standard_normal(int(SECONDS * RATE)).astype(np.float32)
KINDS = {
    "wav": {},
    "aiff": {},
    "au": {},
    "w64": {},
    "flac": {},
    "ogg": {},
    "mp3": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "rf64": {"format": "RF64"},
    "adpcm.wav": {"subtype": "IMA_ADPCM"},
    "alaw.wav": {"subtype": "ALAW"},
}


def write(folder: Path, kind: str) -> Path:
    file = folder / f"whole.{kind}"
    soundfile.write(file, SOUND, RATE, **KINDS[kind])
    return file


def converted(folder: Path, kind: str, *options: str) -> Path:
    require_programs("ffmpeg")
    soundfile.write(folder / "sound.wav", SOUND, RATE)
    file = folder / f"sound.{kind}"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", folder / "sound.wav", *options, file]
    require(subprocess.run(command, capture_output=True).returncode == 0, f"an ffmpeg that writes {kind}")
    return file


def cut(file: Path, share: float = 0.6) -> Path:
    short = file.with_name(f"cut.{file.name.partition('.')[2]}")
    short.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    return short


def heard(file: Path) -> np.ndarray:
    audio = AudioFile(file)
    try:
        return np.concatenate(list(audio.blocks(RATE // 2)))
    finally:
        audio.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_is_heard_without_a_word(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = heard(write(tmp_path, kind))
    assert len(samples) == pytest.approx(len(SOUND), abs=1200)
    assert caplog.messages == []
    assert capfd.readouterr().err == "", "decoders say nothing on standard error"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_is_heard_and_that_is_said_once(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    file = cut(write(tmp_path, kind))
    samples = heard(file)
    assert 0.3 * len(SOUND) < len(samples) < 0.7 * len(SOUND)
    [said] = caplog.messages
    assert said.startswith(f"{file}: ")
    assert f"{len(samples) / RATE:.3f} s" in said
    assert "cut off" in said or "breaks off" in said
    if kind not in ("ogg", "opus", "adpcm.wav"):
        assert f"of the {SECONDS:.3f} s that it" in said
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["m4a", "aac", "wma", "webm", "mkv", "mp4", "spx", "ac3", "caf"])
def test_what_libsndfile_does_not_know_is_for_ffmpeg(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    samples = heard(converted(tmp_path, kind))
    expected = 0.3 / np.sqrt(2)
    middle = samples[len(samples) // 3 : len(samples) // 2]
    assert np.sqrt(np.mean(np.square(middle))) == pytest.approx(expected, rel=0.1)
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["webm", "mkv", "tta", "spx", "caf", "wma"])
def test_what_ffmpeg_decodes_may_be_cut_off_too(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    file = cut(converted(tmp_path, kind))
    samples = heard(file)
    assert len(samples) > 0
    [said] = caplog.messages
    assert said.startswith(f"{file}: is ")


def test_a_file_that_is_cut_off_before_its_first_sample_is_named(tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match=r"no audio \(0 samples\); it is cut off: 0.000 s are there of the 6.000 s"):
        heard(cut(write(tmp_path, "wav"), 45 / (44 + 2 * len(SOUND))))


def test_an_index_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match="its index, which is written last, is missing"):
        AudioFile(cut(converted(tmp_path, "m4a")))


@pytest.mark.parametrize("options", [["-b:a", "64k"], ["-q:a", "3"]])
def test_an_mp3_that_does_not_say_its_length_is_heard_to_its_end(
    tmp_path: Path, options: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    file = converted(tmp_path, "mp3", *options, "-write_xing", "0")
    assert len(heard(file)) == pytest.approx(len(SOUND), abs=3000)
    assert caplog.messages == []
    heard(cut(file, 0.503))
    [said] = caplog.messages
    assert "is cut off after" in said


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF, 60_000, 2 * len(SOUND) + 44])
def test_a_wrong_header_is_said_once_and_all_is_heard(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path, "wav")
    content = file.read_bytes()
    at = content.index(b"data") + 4
    file.write_bytes(content[:at] + struct.pack("<I", size) + content[at + 4 :])
    assert len(heard(file)) == len(SOUND)
    [said] = caplog.messages
    assert "header" in said
    assert "6.000 s are there" in said


def test_without_ffmpeg_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = converted(tmp_path, "m4a").rename(tmp_path / "my sound.m4a")
    monkeypatch.setattr(audio_file, "ffmpeg", lambda: None)
    with pytest.raises(AsitEdgeError, match="apt install ffmpeg") as caught:
        AudioFile(file)
    command = str(caught.value).partition("where there is one: ")[2]
    subprocess.run(["bash", "-c", command + " -nostdin -v error"], check=True)
    assert len(heard(tmp_path / "my sound-converted.wav")) == pytest.approx(len(SOUND), abs=3000)


@pytest.mark.parametrize("name", ["x.wav", "x.raw", "x.mp3", "x.m4a", "noise"])
@pytest.mark.parametrize("content", [b"this is text\n" * 1000, bytes(range(256)) * 100, b"\0" * 5000, b"RIFF", b"ID3"])
def test_what_is_no_audio_is_named_in_our_words(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AsitEdgeError, match=r"not audio in a supported format|no audio|damaged") as caught:
        heard(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    (tmp_path / "list.m4a").write_text("#EXTM3U\n#EXTINF:6,\nhttp://127.0.0.1:9/x.aac\n", encoding="utf-8")
    with pytest.raises(AsitEdgeError, match="not audio"):
        AudioFile(tmp_path / "list.m4a")


def test_what_is_no_file_is_named_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a pipe")
    with pytest.raises(WrongUse, match="is a pipe, not a file; .* listen --stdin < '/.*a pipe'"):
        AudioFile(tmp_path / "a pipe")
    for device in ("/dev/null", "/dev/zero", "/dev/full"):
        with pytest.raises(WrongUse, match="is a device"):
            AudioFile(Path(device))
    with pytest.raises(WrongUse, match="is a directory"):
        AudioFile(tmp_path)
    for missing in ("none.wav", "none/none.wav", "\0"):
        with pytest.raises(WrongUse, match="no such file|no file can"):
            AudioFile(tmp_path / missing)
    with pytest.raises(AsitEdgeError, match="cannot be read .File name too long"):
        AudioFile(tmp_path / ("x" * 300))


def test_what_must_not_be_read_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "wav")
    file.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # nothing is unreadable for root
    try:
        with pytest.raises(AsitEdgeError, match="cannot be read .Permission denied"):
            AudioFile(file)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("count", [1, 80, 700])
def test_a_very_short_clip_is_heard(tmp_path: Path, count: int, caplog: pytest.LogCaptureFixture) -> None:
    soundfile.write(tmp_path / "short.wav", SOUND[:count], RATE)
    assert len(heard(tmp_path / "short.wav")) == count
    assert caplog.messages == []


def test_what_no_microphone_gives_is_limited_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = SOUND.copy()
    samples[[5, 40_000]] = 1e25, -1e30
    soundfile.write(tmp_path / "odd.wav", samples, RATE, subtype="FLOAT")
    found = heard(tmp_path / "odd.wav")[:, 0]
    assert (found[5], found[40_000]) == (8, -8)
    assert (np.delete(found, [5, 40_000]) == np.delete(SOUND, [5, 40_000])).all()
    [said] = caplog.messages
    assert "2 samples are beyond 8 times full scale" in said


def test_a_recorder_of_floats_may_go_beyond_full_scale(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hot.wav", 10 * SOUND, RATE, subtype="FLOAT")
    assert (heard(tmp_path / "hot.wav")[:, 0] == 10 * SOUND).all()


def test_nothing_stays_open(tmp_path: Path) -> None:
    files = [write(tmp_path, "wav"), write(tmp_path, "mp3")]
    if shutil.which("ffmpeg"):
        files.append(converted(tmp_path, "m4a"))
    (tmp_path / "text").write_text("text", encoding="utf-8")
    heard(files[1])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for file in files:
            AudioFile(file).close()
            heard(file)
        with pytest.raises(AsitEdgeError):
            AudioFile(tmp_path / "text")
    assert len(os.listdir("/proc/self/fd")) == before
    logging.getLogger(__name__).debug("%d files are open", before)


def test_a_file_with_an_inverted_channel_is_heard_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "inverted.wav", np.stack((SOUND, -SOUND), axis=1), RATE, subtype="FLOAT")
    audio = AudioFile(tmp_path / "inverted.wav")
    samples = np.concatenate(list(audio.mono(777)))
    audio.close()
    assert (samples[RATE // 20 :] == SOUND[RATE // 20 :]).all()
    [said] = caplog.messages
    assert "mixing its 2 channels loses the sound" in said
    assert "channel 1, the loudest, is heard instead" in said


@pytest.mark.parametrize(("rate", "channels"), [(10, 1), (4_000_000, 1), (RATE, 65)])
def test_a_header_that_cannot_be_right_is_named(tmp_path: Path, rate: int, channels: int) -> None:
    soundfile.write(tmp_path / "odd.wav", np.zeros((100, channels), np.float32), rate)
    with pytest.raises(AsitEdgeError, match=f"its header says {rate} Hz and {channels} channels"):
        AudioFile(tmp_path / "odd.wav")
