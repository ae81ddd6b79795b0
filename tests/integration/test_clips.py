"""Clips of `asit-edge listen` itself: on disk, over MQTT and on the command line; disks that fail, and kill -9."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asit_edge.clips.shelf import ClipShelf
from tests.clips.parts import where
from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.test_delivery import limit_files, write_config
from tests.integration.test_mqtt import ENVIRONMENT, asit_edge

SHORT = {"enabled": True, "before": 0.5, "after": 0.3, "min_free_mb": 0}


def listening(
    folder: Path, bundle: Path, broker: Mosquitto, sound: np.ndarray, command: list[str] | None = None, **clips: Any
) -> "subprocess.Popen[str]":
    """A listener whose only source is a file with that sound; its clips go to `folder`/clips."""
    soundfile.write(folder / "sound.wav", sound, RATE)
    settings = {**SHORT, "folder": str(folder / "clips"), **clips}
    source = {"type": "file", "name": "mic", "path": str(folder / "sound.wav")}
    events = {"merge_gap": 0.2}
    config = write_config(folder, bundle, [source], {"port": broker.port}, events=events, clips=settings)
    if command is not None:
        return subprocess.Popen([*command, "listen", "--config", config], cwd=ROOT, env=ENVIRONMENT, text=True)
    return asit_edge("listen", "--config", config)


def noisy(*parts: tuple[float, float]) -> np.ndarray:
    samples = tones(*parts)
    return samples + 1e-2 * np.random.default_rng(2).standard_normal(len(samples)).astype(np.float32)


def every_second(seconds: int) -> np.ndarray:
    return noisy(*[(0, 0.6), (500, 0.4)] * seconds)


def reports(subscriber: Subscriber) -> list[dict[str, Any]]:
    return [json.loads(one) for one in subscriber.payloads("asit/hall/mic/clip")]


def test_a_clip_is_written_told_and_found(tmp_path: Path, tone_bundle: Path, broker: Mosquitto) -> None:
    sound = noisy((0, 1.5), (500, 1), (0, 2))
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, sound)
        out, err = process.communicate(timeout=40)
        assert process.returncode == 0, err
        [report] = wait_for(lambda: reports(subscriber), 10, "the clip is told")
        told = [json.loads(one) for one in subscriber.payloads("asit/hall/mic/event")]
    new, end = told
    assert [json.loads(line) for line in out.splitlines()] == told
    assert (new["clip"], end["clip"]) == (None, report["path"])
    assert (report["event"], report["label"], report["kept"], report["reason"]) == (end["id"], "Low tone", True, "")
    clip, rate = soundfile.read(tmp_path / "clips" / report["path"], dtype="float32")
    stored, _ = soundfile.read(tmp_path / "sound.wav", dtype="float32")
    assert rate == RATE
    assert len(clip) / RATE == pytest.approx(report["seconds"], abs=1e-3)
    assert report["seconds"] == pytest.approx(end["duration"] + 0.8, abs=0.02)
    place = where(stored, clip)
    np.testing.assert_array_equal(clip, stored[place : place + len(clip)])
    assert place / RATE == pytest.approx(1.0, abs=0.2)
    for arguments, expected in (
        (["clips", "path", end["id"]], str(tmp_path / "clips" / report["path"])),
        (["events"], f"clip {report['path']}"),
    ):
        typed = asit_edge(*arguments, "--config", tmp_path / "config.yaml").communicate(timeout=30)[0]
        assert expected in typed
    removed = asit_edge("clips", "remove", "--all", "--config", tmp_path / "config.yaml").communicate(timeout=30)[0]
    assert removed.splitlines()[0] == report["path"]
    assert list((tmp_path / "clips").iterdir()) == []
    after = asit_edge("events", "--config", tmp_path / "config.yaml").communicate(timeout=30)[0]
    assert "Low tone" in after
    assert "clip " not in after, "what is gone is not shown"


def test_a_full_disk_and_a_deleted_folder_cost_clips_and_nothing_else(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, every_second(10))
        try:
            wait_for(lambda: len(reports(subscriber)) >= 1, 30, "the first clip")
            limit_files(process, 8_000)
            wait_for(lambda: any(one["reason"] == "disk" for one in reports(subscriber)), 20, "a clip fails")
            wait_for(
                lambda: any("clips: " in one for one in subscriber.payloads("asit/hall/health")), 10, "health says so"
            )
            limit_files(process, resource.RLIM_INFINITY)
            shutil.rmtree(tmp_path / "clips")
            failed = len(reports(subscriber))
            wait_for(lambda: any(one["kept"] for one in reports(subscriber)[failed:]), 20, "it goes on")
            out, err = process.communicate(timeout=40)
        finally:
            process.kill()
            process.communicate()
        assert process.returncode == 0, err
        problem = wait_for(
            lambda: not json.loads(subscriber.payloads("asit/hall/health")[-1])["problem"], 30, "health is well again"
        )
        assert problem
        told = reports(subscriber)
        assert subscriber.payloads("asit/hall/mic/gap") == []
    ends = [json.loads(line) for line in out.splitlines() if '"type":"end"' in line]
    assert len(ends) == 10, "every sound is heard"
    assert {one["event"] for one in told} == {end["id"] for end in ends}, "and of each it is told what became of it"
    said = f"clips: {tmp_path / 'clips'} cannot be written (File too large); listening goes on"
    assert err.count(said) == 1
    assert f"clips: {tmp_path / 'clips'} takes them again" in err
    there = {clip.name for clip in ClipShelf(tmp_path / "clips").clips()}
    assert there
    assert there <= {one["path"] for one in told}


HANGING = """
import os, sys, time
sync = os.fsync
def hangs(file):
    if "/clips/" in os.readlink(f"/proc/self/fd/{file}"):
        time.sleep(600)
    sync(file)
os.fsync = hangs
from asit_edge.cli.app import main
main()
"""


def test_killed_while_it_writes_a_clip_it_leaves_none_that_is_half(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    def files() -> list[Path]:
        return [file for file in (tmp_path / "clips").rglob("*") if file.is_file()]

    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, every_second(30), [sys.executable, "-c", HANGING])
        try:
            wait_for(files, 30, "it writes")
            heard = len(subscriber.payloads("asit/hall/mic/event"))
            wait_for(
                lambda: len(subscriber.payloads("asit/hall/mic/event")) >= heard + 3,
                20,
                "it listens while its disk hangs",
            )
        finally:
            process.kill()
            process.wait()
        assert subscriber.payloads("asit/hall/mic/gap") == []
    assert ClipShelf(tmp_path / "clips").clips() == []
    [left_over] = files()
    again = listening(tmp_path, tone_bundle, broker, noisy((0, 0.7), (500, 0.5), (0, 0.6)))
    _, err = again.communicate(timeout=40)
    assert again.returncode == 0, err
    assert "clips: 1 file(s) removed that a run before had not finished" in err
    assert not left_over.exists()
    [clip] = ClipShelf(tmp_path / "clips").clips()
    assert soundfile.info(tmp_path / "clips" / clip.name).frames > RATE


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ({"speech": "never"}, "clips.speech: never needs a model that knows speech, and tones has no label for it"),
        ({"labels": ["Low tune"]}, "clips.labels: the model has no label 'Low tune' (did you mean 'Low tone'?)"),
    ],
)
def test_what_cannot_be_kept_as_asked_for_is_refused_at_the_start(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto, clips: dict[str, Any], message: str
) -> None:
    process = listening(tmp_path, tone_bundle, broker, noisy((0, 1)), **clips)
    out, err = process.communicate(timeout=40)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"asit-edge: error: {message}")


def test_nothing_is_recorded_unless_it_is_asked_for(tmp_path: Path, tone_bundle: Path, broker: Mosquitto) -> None:
    process = listening(tmp_path, tone_bundle, broker, noisy((0, 0.7), (500, 0.5), (0, 0.6)), enabled=False)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert [json.loads(line)["clip"] for line in out.splitlines()] == [None, None]
    assert not (tmp_path / "clips").exists()
