"""The store is locked for long, or its disk never returns: listening goes on, is never called overloaded, and ends."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import soundfile

from asit_edge.listen.run import LONGEST_STOP
from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.test_delivery import listening, rows, write_config
from tests.integration.test_mqtt import ENVIRONMENT


def test_listening_does_not_wait_for_another_programs_lock(tmp_path: Path, tone_bundle: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, 10)
        topic = "asit/hall/mic/event"
        try:
            wait_for(lambda: subscriber.payloads(topic), 60, "the first event")
            other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            before = len(subscriber.payloads(topic))
            wait_for(lambda: len(subscriber.payloads(topic)) >= before + 8, 30, "events arrive while it is locked")
            other.execute("ROLLBACK")
            other.close()
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
            broker.kill()
        assert process.returncode == 0, err
        assert "events.db: cannot be written (database is locked)" in err
        assert "cannot keep up" not in err
        states = [json.loads(payload) for payload in subscriber.payloads("asit/hall/mic/status")]
        assert not [one for one in states if "overload" in one["detail"]]
        assert len(out.splitlines()) == 20
        assert rows(tmp_path / "events.db", "SELECT count(DISTINCT seq) FROM event") == 20


HANGS = "the disk of the event store hangs; what it has not taken is lost"

HANGING = """
import sys, threading
from pathlib import Path
from asit_edge.listen import run
from asit_edge.store.disk import Disk

write, hang = Disk.write, Path(sys.argv.pop())

def write_or_hang(disk, change, **options):
    if hang.exists():
        hang.with_suffix(".hit").touch()
        threading.Event().wait()
    return write(disk, change, **options)

Disk.write, run.DRAIN_SECONDS, run.LONGEST_STOP = write_or_hang, 0.5, 3.0
from asit_edge.__main__ import main
main()
"""


def test_a_disk_that_never_returns_keeps_no_listener_from_ending(tmp_path: Path, tone_bundle: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    sound, hang = tmp_path / "sound.wav", tmp_path / "hang"
    soundfile.write(sound, tones(*[(500, 0.4), (0, 0.6)] * 60), RATE)
    source = {"type": "file", "name": "mic", "path": str(sound)}
    config = write_config(tmp_path, tone_bundle, [source], {"port": broker.port})
    command = [sys.executable, "-c", HANGING, "listen", "--config", str(config), str(hang)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, env=ENVIRONMENT, cwd=ROOT, **pipes)
    try:
        with Subscriber(broker, topic="asit/hall/#") as subscriber:
            wait_for(lambda: subscriber.payloads("asit/hall/mic/event"), 90, "the first event")
            hang.touch()
            wait_for(hang.with_suffix(".hit").exists, 20, "it is written to the disk")
            process.terminate()
            _, err = process.communicate(timeout=25)
            assert process.returncode == 1, err
            assert err.splitlines()[-1] == f"asit-edge: error: {HANGS}"
            wait_for(lambda: subscriber.payloads("asit/hall/available")[-1] == "offline", 10, "the broker says so")
    finally:
        process.kill()
        broker.kill()


def test_the_service_manager_gives_a_listener_the_time_that_it_may_take_to_end() -> None:
    unit = (ROOT / "systemd" / "asit-edge.service").read_text(encoding="utf-8")
    [patience] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, flags=re.MULTILINE)
    assert LONGEST_STOP < int(patience) <= 30
