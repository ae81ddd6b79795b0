"""As its owner does it: three takes recorded from the microphone, and the sound is known."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.conftest import tones
from tests.integration.pulse import Pulse, require_alsa_pulse
from tests.teach.conftest import write
from tests.teach.teachable import beep, write_teachable


def test_three_takes_are_recorded_and_the_sound_is_found_in_them(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "pulse")
    pulse.start()
    try:
        require_alsa_pulse(pulse)
        model = write_teachable(tmp_path / "bundle")
        config = tmp_path / "config.yaml"
        config.write_text(f"model: {model}\nsources: [{{type: microphone, device: pulse}}]\n")
        environment = {**pulse.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
        environment.pop("STATE_DIRECTORY", None)
        command = [sys.executable, "-m", "asit_edge", "teach", "Front doorbell", "--record", "3", "--seconds", "3"]
        teaching = subprocess.Popen(
            [*command, "--config", config, "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        # Rings all the time, as somebody at the door who does not wait for a prompt.
        ringing = write(
            tmp_path / "ring.wav", np.concatenate([tones((0, 0.4)), beep(1)[8_000:40_000], tones((0, 0.4))])
        )
        deadline = time.monotonic() + 60
        while teaching.poll() is None and time.monotonic() < deadline:
            pulse.play(ringing)
        out, said = teaching.communicate(timeout=20)
        assert teaching.returncode == 0, said
        assert "take 3 of 3: recording for 3 s" in said
        found = json.loads(out)
        assert len(found["takes"]) == 3
        assert (tmp_path / "state" / "asit-edge" / "taught" / "front_doorbell.yaml").is_file()
        assert not [one for one in (tmp_path / "state").rglob("*") if one.suffix in (".wav", ".flac")]
    finally:
        pulse.kill()


def test_a_microphone_that_is_not_there_is_named_and_nothing_is_taught(tmp_path: Path) -> None:
    model = write_teachable(tmp_path / "bundle")
    config = tmp_path / "config.yaml"
    config.write_text(f"model: {model}\nsources: [{{type: microphone, device: no-such-microphone}}]\n")
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-m", "asit_edge", "teach", "Bell", "--record", "3", "--config", config],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "no-such-microphone" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state" / "asit-edge" / "taught").exists()
