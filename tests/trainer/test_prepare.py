import csv
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.conftest import require_programs
from trainer.data.layouts.listing import Missing, list_recordings
from trainer.data.recording import Recording
from trainer.data.shards.reading import Shards
from trainer.prepare import Codec, PrepareConfig, prepare, prepare_shards

RATE = 16_000


def tone(seconds: float, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """One good stereo recording at 44.1 kHz, one of 25.2 s, and one of every kind that cannot be used."""
    folder = tmp_path / "audio"
    (folder / "deep").mkdir(parents=True)
    soundfile.write(folder / "stereo.wav", np.stack([tone(2, 44_100)] * 2, axis=1), 44_100)
    soundfile.write(folder / "deep" / "long.flac", tone(25.2), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "short.ogg", tone(0.1), RATE)
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    (folder / "broken.mp3").write_bytes(b"this is not audio" * 100)
    (folder / "empty.wav").touch()
    (folder / "notes.txt").write_text("no audio")
    return folder


def report(out: Path) -> dict[str, str]:
    with (out / "report.csv").open(newline="") as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


def test_good_recordings_become_examples_and_bad_ones_lines_of_the_report(audio: Path, tmp_path: Path) -> None:
    prepare(audio, tmp_path / "out", workers=2, per_shard=3)
    assert report(tmp_path / "out") == {
        "silent.wav": "silent",
        "short.ogg": "too short",
        "nan.wav": "corrupt",
        "broken.mp3": "corrupt",
        "empty.wav": "empty",
    }
    shards = Shards([tmp_path / "out"])
    lengths = sorted(len(shards.read(index, RATE)) for index in range(len(shards)))
    assert lengths == [2 * RATE, round(5.2 * RATE), 10 * RATE, 10 * RATE]


def test_long_recordings_are_cut_and_a_short_rest_is_dropped(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    soundfile.write(audio / "long.wav", tone(25.2), RATE)
    recordings = list_recordings(audio, None, {})
    (made,) = prepare_shards(recordings, tmp_path / "a", PrepareConfig(longest=10), 1)
    assert (made.examples, made.seconds) == (3, pytest.approx(25.2))
    (made,) = prepare_shards(recordings, tmp_path / "b", PrepareConfig(longest=5), 1)
    assert (made.examples, made.seconds, made.skipped) == (5, 25.0, [])


@pytest.mark.parametrize("codec", Codec)
def test_audio_survives(codec: Codec, tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    soundfile.write(audio / "tone.wav", tone(1), RATE)
    prepare_shards(list_recordings(audio, None, {}), tmp_path / "out", PrepareConfig(codec), 1)
    samples = Shards([tmp_path / "out"]).read(0, RATE)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() == 440
    assert np.sqrt((samples**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_formats_that_only_ffmpeg_knows(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    audio = tmp_path / "audio"
    audio.mkdir()
    soundfile.write(tmp_path / "tone.wav", tone(2), RATE)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "tone.wav", audio / "tone.m4a"], check=True)
    (made,) = prepare_shards(list_recordings(audio, None, {}), tmp_path / "out", PrepareConfig(), 1)
    assert made.examples == 1
    assert made.seconds == pytest.approx(2, abs=0.2)


def test_a_stopped_run_goes_on_where_it_was(audio: Path, tmp_path: Path) -> None:
    recordings, out, config = list_recordings(audio, None, {}), tmp_path / "out", PrepareConfig(per_shard=2)
    first = prepare_shards(recordings, out, config, 1)
    tars = sorted(out.glob("*.tar"))
    content = tars[1].read_bytes()
    tars[1].rename(tars[1].with_suffix(".tar.part"))  # what a kill leaves behind
    before = tars[0].stat().st_mtime_ns
    again = prepare_shards(recordings, out, config, 1)
    assert [(made.made_from, made.examples) for made in again] == [(made.made_from, made.examples) for made in first]
    assert tars[0].stat().st_mtime_ns == before, "a finished shard is not made again"
    assert tars[1].read_bytes() == content
    assert not list(out.glob("*.part"))


def test_another_data_set_does_not_mix_in(audio: Path, tmp_path: Path) -> None:
    recordings, out = list_recordings(audio, None, {}), tmp_path / "out"
    prepare_shards(recordings, out, PrepareConfig(), 1)
    with pytest.raises(WrongUse, match="other recordings or settings"):
        prepare_shards(recordings[1:], out, PrepareConfig(), 1)
    (out / "foreign.tar").touch()
    with pytest.raises(WrongUse, match=r"foreign\.tar"):
        prepare_shards(recordings, out, PrepareConfig(), 1)


def test_manifest_with_labels_exclusions_and_a_missing_file(audio: Path, tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text(
        'path,audioset_label,sharealike\nstereo.wav,"Propeller, airscrew",0\ndeep/long.flac,,1\nabsent.wav,Dog,0\n'
    )
    prepare(audio, tmp_path / "out", table, ["sharealike=1"], workers=1)
    assert report(tmp_path / "out") == {"absent.wav": "missing"}
    with tarfile.open(tmp_path / "out" / "shard-000000.tar") as tar:
        (member,) = [member for member in tar if member.name.endswith(".json")]
        about = json.load(tar.extractfile(member))  # type: ignore[arg-type]
    assert about == {"source": "stereo.wav", "piece": 0, "labels": ["Propeller, airscrew"]}


@pytest.mark.parametrize("name", ["--PJHxphWEs.wav", "Y--PJHxphWEs.wav", "--PJHxphWEs_30000.wav"])
def test_audiosets_table_finds_clips_under_their_usual_names(name: str, tmp_path: Path) -> None:
    audio, table = tmp_path / "clips", tmp_path / "balanced.csv"
    audio.mkdir()
    soundfile.write(audio / name, tone(1), RATE)
    table.write_text(
        "# Segments csv\n# YTID, start_seconds, end_seconds, positive_labels\n"
        '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n--ZhevVpy1s, 50.000, 60.000, "/m/012xff"\n'
    )
    found, missing = list_recordings(audio, table, {})
    assert isinstance(found, Recording)
    assert (found.path, found.labels) == (audio / name, ("/m/09x0r", "/t/dd00088"))
    assert isinstance(missing, Missing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "not a manifest"),
        ("path\n", "lists no recordings"),
        ("path,x\nonly-one-cell\n", "row 2 has 1 cells"),
        ("path\nabsent.wav\n", "none of the 1 recordings"),
    ],
)
def test_tables_that_make_no_sense(text: str, message: str, audio: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(WrongUse, match=message):
        list_recordings(audio, tmp_path / "table.csv", {})


def test_folders_that_make_no_sense(audio: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "empty", "no audio"), (tmp_path / "absent", "no such folder")):
        with pytest.raises(WrongUse, match=message):
            list_recordings(folder, None, {})
    with pytest.raises(WrongUse, match="needs the columns"):
        list_recordings(audio, None, {"a": "b"})
    soundfile.write(tmp_path / "empty" / "silent.wav", np.zeros(RATE), RATE)
    with pytest.raises(AsitEdgeError, match="nothing usable"):
        prepare(tmp_path / "empty", tmp_path / "out", workers=1)


def test_the_command_line_says_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "trainer.prepare", tmp_path / "absent", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stderr.strip() == f"trainer.prepare: error: {tmp_path / 'absent'}: no such folder"
