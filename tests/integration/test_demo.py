"""The demonstration, as `make demo` runs it: events come back from a broker."""

import subprocess
import sys

from asit_edge.assembly import load_model
from asit_edge.config.root import Config


def test_the_demo_receives_real_sounds_from_its_broker() -> None:
    done = subprocess.run([sys.executable, "-m", "asit_edge", "demo"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    labels = [label.name for label in load_model(Config()).manifest.labels]
    arrived = [line for line in done.stdout.splitlines() if line.startswith("asit/demo/demo/event")]
    assert len({label for label in labels for line in arrived if f" {label} " in line}) >= 2
    assert f"{len(arrived)} events arrived over MQTT" in done.stdout
    assert done.stderr == ""
