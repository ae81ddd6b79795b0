"""A real sound server without a sound card: PulseAudio with a null sink whose monitor is the microphone."""

import os
import subprocess
import time
from pathlib import Path

from tests.conftest import require, require_programs
from tests.integration.mosquitto import wait_for

RATE = 16_000

SINK = f"module-null-sink sink_name=room rate={RATE} channels=1 format=s16le norewinds=1"
"""norewinds=1: otherwise the first block of the monitor may come up to two seconds late."""


class Pulse:
    """PulseAudio in a folder of its own; `environment` makes child processes use it and nothing else."""

    def __init__(self, folder: Path) -> None:
        require_programs("pulseaudio", "pactl", "paplay")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".asoundrc").write_text(
            "pcm.!default { type pulse }\nctl.!default { type pulse }\n", encoding="utf-8"
        )
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "pulse"),
            "PULSE_SERVER": f"unix:{folder / 'pulse' / 'native'}",
        }
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._server = subprocess.Popen(
            [
                *["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"],
                *[f"--log-target=file:{self.folder / 'pulse.log'}", "-L", "module-native-protocol-unix", "-L", SINK],
            ],
            env=self.environment,
        )
        wait_for(self._answers, 20, "PulseAudio answers")

    def _answers(self) -> bool:
        return subprocess.run(["pactl", "info"], env=self.environment, capture_output=True).returncode == 0

    def play(self, file: Path) -> None:
        """Plays a file into the room and returns when it is over."""
        command = ["paplay", "--latency-msec=50", str(file)]
        subprocess.run(command, env=self.environment, check=True, timeout=120)

    def control(self, *command: str) -> None:
        subprocess.run(["pactl", *command], env=self.environment, check=True, timeout=20, stdout=subprocess.DEVNULL)

    def signal(self, number: int) -> None:
        assert self._server is not None
        self._server.send_signal(number)

    def kill(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None


def require_alsa_pulse(pulse: Pulse) -> None:
    """PortAudio must see the ALSA plug-in that leads to PulseAudio."""
    deadline = time.monotonic() + 10
    devices = b""
    while b"pulse" not in devices and time.monotonic() < deadline:
        devices = subprocess.run(
            [os.sys.executable, "-m", "asit_edge", "devices"],  # type: ignore[attr-defined]
            env=pulse.environment,
            capture_output=True,
        ).stdout
    require(b"pulse" in devices, "PortAudio and the ALSA plug-in for PulseAudio (libportaudio2, libasound2-plugins)")
