"""As its owner does it: one command while the doorbell rings three times, and in noise the ring arrives over MQTT."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.pulse import RATE, Pulse, require_alsa_pulse
from tests.teach.conftest import write
from tests.teach.teachable import write_teachable
from trainer.data.mixing import coloured_noise
from trainer.distillation.synthesis import doorbell

NOISE_DB = 10.0
"""By which the bell is above the noise that it is heard in afterwards."""


def test_a_doorbell_that_rang_three_times_is_heard_in_noise_by_the_model_that_is_shipped(
    tmp_path: Path, broker: Mosquitto
) -> None:
    bell = 0.4 * doorbell(np.random.default_rng(0), RATE)[: round(2.4 * RATE)]
    pause = np.zeros(round(0.4 * RATE))
    noise = coloured_noise(4 * RATE, 1.0, np.random.default_rng(1))
    noise *= np.sqrt(np.mean(bell**2) / np.mean(noise**2)) * 10 ** (-NOISE_DB / 20)
    noise[RATE : RATE + len(bell)] += bell
    pulse = Pulse(tmp_path / "pulse")
    pulse.start()
    listening: subprocess.Popen[bytes] | None = None
    try:
        require_alsa_pulse(pulse)
        config = tmp_path / "config.yaml"
        config.write_text(
            "device: hall\nmodel: asit-warm-tiny\nsources: [{type: microphone, device: pulse, name: mic}]\n"
            f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
        )
        environment = {**pulse.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
        environment.pop("STATE_DIRECTORY", None)
        asit_edge = [sys.executable, "-m", "asit_edge"]
        with Subscriber(broker) as subscriber, (tmp_path / "listen.log").open("w") as log:
            command = [*asit_edge, "listen", "--config", str(config)]
            listening = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            wait_for(lambda: "online" in subscriber.payloads("asit/hall/available"), 30, "the listener")
            command = [*asit_edge, "teach", "Front doorbell", "--record", "3", "--seconds", "3.5"]
            teaching = subprocess.Popen(
                [*command, "--config", str(config), "--json"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                text=True,
            )
            # Rings all the time, as somebody at the door who does not wait for a prompt.
            ringing = write(tmp_path / "ring.wav", np.concatenate([pause, bell, pause]))
            deadline = time.monotonic() + 90
            while teaching.poll() is None and time.monotonic() < deadline:
                pulse.play(ringing)
            out, said = teaching.communicate(timeout=20)
            assert teaching.returncode == 0, said
            assert "take 3 of 3: recording for 3.5 s" in said
            assert len(json.loads(out)["takes"]) == 3
            taught = tmp_path / "state" / "asit-edge" / "taught"
            assert (taught / "front_doorbell.yaml").is_file()
            assert not [one for one in (tmp_path / "state").rglob("*") if one.suffix in (".wav", ".flac")]

            sound = "asit/hall/mic/sound/front_doorbell"
            wait_for(lambda: subscriber.payloads(sound), 20, "the listener knows the sound")
            wait_for(lambda: subscriber.payloads(sound)[-1] == "OFF", 20, "its last ring is over")
            before = len(subscriber.payloads(sound))
            pulse.play(write(tmp_path / "in_noise.wav", noise))
            wait_for(lambda: "ON" in subscriber.payloads(sound)[before:], 20, "the ring in noise")
            events = [json.loads(one) for one in subscriber.payloads("asit/hall/mic/event")]
            assert events[-1]["model"]["name"] == "asit-warm-tiny"
            assert [one for one in events if one["label"] == "Front doorbell" and one["type"] == "new"]
    finally:
        if listening is not None:
            listening.kill()
            listening.wait()
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
