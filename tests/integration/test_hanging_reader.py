"""Whoever reads what `listen` prints may hang: listening, storing and SIGTERM go on as if it did not."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as paho
import soundfile
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from asit_edge.errors import AsitEdgeError
from asit_edge.store.history import history
from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import Mosquitto, wait_for
from tests.store.samples import event


def full_pipe() -> tuple[int, int]:
    """A pipe that nobody reads, with no room left."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 512)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


def listening(folder: Path, bundle: Path, stream: str, pipe: int) -> "subprocess.Popen[bytes]":
    """A listener whose `stream`, stdout or stderr, goes into that pipe; its store is in `folder`."""
    folder.mkdir()
    sound, config = folder / "sound.wav", folder / "config.yaml"
    soundfile.write(sound, tones(*[(0, 0.5), (500, 0.5), (0, 0.8)] * 15), RATE)
    config.write_text(
        f"{{model: {bundle}, store: {{path: {folder / 'events.db'}}}, events: {{merge_gap: 0.2}}, "
        f"sources: [{{type: file, path: {sound}}}, {{type: stream, name: away, url: 'http://127.0.0.1:9/'}}]}}",
        encoding="utf-8",
    )
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: pipe}
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", config]
    return subprocess.Popen(command, cwd=ROOT, stdout=pipes["stdout"], stderr=pipes["stderr"])


def test_a_reader_that_hangs_stops_neither_listening_nor_sigterm(tmp_path: Path, tone_bundle: Path) -> None:
    reading, writing = full_pipe()
    listeners = {one: listening(tmp_path / one, tone_bundle, one, writing) for one in ("stdout", "stderr")}

    def ended(stream: str) -> bool:
        try:
            return sum(event.type == "end" for event in history(tmp_path / stream / "events.db")) >= 3
        except AsitEdgeError:
            return False

    try:
        for stream in listeners:
            wait_for(lambda one=stream: ended(one), 90, f"three events end while {stream} is full")  # type: ignore[misc]
        for process in listeners.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(20) for process in listeners.values()] == [0, 0]
    finally:
        for process in listeners.values():
            process.kill()
        os.close(reading)
        os.close(writing)


def test_a_slow_program_of_subscribe_makes_no_event_wait_and_sigterm_wins(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    command = [sys.executable, "-m", "asit_edge", "subscribe", "--host", "127.0.0.1", "--port", str(broker.port)]
    ran = tmp_path / "ran"
    process = subprocess.Popen(
        [*command, "--json", "--exec", f"sh -c 'cat >> {ran}; exec sleep 60'"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stderr is not None
        assert process.stdout is not None
        assert "connected" in process.stderr.readline()
        sender = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        sender.connect("127.0.0.1", broker.port)
        sender.loop_start()
        while not select.select([process.stdout], [], [], 0.2)[0]:  # until it has subscribed; it shows each event once
            sender.publish("asit/hall/mic/event", event(0).to_json(), qos=1).wait_for_publish(30)
        for number in range(1, 20):
            sender.publish("asit/hall/mic/event", event(number).to_json(), qos=1).wait_for_publish(30)
        sender.disconnect()
        sender.loop_stop()
        shown = [process.stdout.readline() for _ in range(20)]
        assert [json.loads(line)["id"] for line in shown] == [f"id-{number}" for number in range(20)]
        wait_for(lambda: ran.exists() and ran.read_text(), 20, "the program runs")
        process.terminate()
        _, err = process.communicate(timeout=30)  # the program sleeps for a minute
        assert process.returncode == 0
        assert "--exec: the program is slower than events come; 20 dropped" in err
        assert len(ran.read_text().splitlines()) == 1
    finally:
        process.kill()
        broker.kill()


def test_a_reader_that_has_gone_away_ends_listening_in_order(tmp_path: Path, tone_bundle: Path) -> None:
    sound, store, config = tmp_path / "sound.wav", tmp_path / "events.db", tmp_path / "config.yaml"
    soundfile.write(sound, tones(*[(500, 0.4), (0, 0.8)] * 20), RATE)
    config.write_text(
        f"{{model: {tone_bundle}, store: {{path: {store}}}, events: {{merge_gap: 0.2}}, "
        f"sources: [{{type: file, path: {sound}}}]}}",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", str(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0, "as with `| head`"
    heard = [one.type for one in history(store)]
    assert heard.count("new") == heard.count("end")
