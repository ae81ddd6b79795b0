"""A running listener is given other thresholds, and bad configurations: nothing is missed, and the reason is told."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.conftest import tones
from tests.integration.mosquitto import Mosquitto, Subscriber, free_port, wait_for

AHEAD = 1 << 15
"""Bytes of a second, so that a busy machine is no gap."""


def pcm(*parts: tuple[float, float]) -> bytes:
    return (np.clip(tones(*parts), -1, 1) * 32_767).astype("<i2").tobytes()


class Listener:
    """Given samples ahead of time, of which it takes so many as could have been heard."""

    def __init__(self, config: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asit_edge", "listen", "--config", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # no terminal, as a service
            pipesize=AHEAD,
        )

    def hear(self, *parts: tuple[float, float]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(pcm(*parts))
        self.process.stdin.flush()

    def end(self) -> tuple[list[dict[str, object]], str]:
        self.process.send_signal(signal.SIGTERM)
        out, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        return [json.loads(line) for line in out.splitlines()], said.decode()


def test_other_events_from_now_on_and_bad_configurations_change_nothing(tone_bundle: Path, tmp_path: Path) -> None:
    broker, port = Mosquitto(tmp_path / "broker"), free_port()
    broker.start()
    config = tmp_path / "config.yaml"
    base = (
        f"device: hall\nmodel: {tone_bundle}\nstore: {{path: {tmp_path}/events.db}}\n"
        f"sources: [{{type: stdin, name: pipe}}]\nmqtt: {{host: 127.0.0.1, port: {broker.port}}}\n"
        f"web: {{port: {port}}}\n"
    )

    def shown() -> dict[str, float]:
        """Sounds on the page, with their thresholds."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/labels", timeout=10) as answer:
            return {one["name"]: one["thresholds"]["pipe"] for one in json.load(answer)["labels"]}

    def write(text: str) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text(base + text, encoding="utf-8")
        os.replace(fresh, config)

    write("events: {only: [Low tone]}\n")
    listener = Listener(config)
    with Subscriber(broker, topic="asit/hall/#") as subscriber:

        def problem() -> str:
            health = subscriber.payloads("asit/hall/health")
            return json.loads(health[-1])["problem"] if health else "none yet"

        def hears(what: tuple[float, float], until: "object", seconds: float) -> None:
            deadline = time.monotonic() + seconds
            while not until():  # type: ignore[operator]
                assert time.monotonic() < deadline
                listener.hear(what)

        try:
            hears((0, 0.5), lambda: problem() == "", 20)
            listener.hear((3000, 1), (0, 1))  # not reported yet
            # A bad one: told, and nothing of it is in force.
            write("events: {only: [High tone], merge_gap: never}\n")
            hears((0, 0.5), lambda: "merge_gap" in problem(), 10)
            write("threads: 2\nevents: {only: [High tone]}\n")
            hears((0, 0.5), lambda: "threads: cannot change while it listens" in problem(), 10)
            listener.hear((500, 1), (0, 2.5))
            # A good one, while a sound goes on.
            write("events: {only: [High tone, Low tone], labels: {High tone: {on_threshold: 0.6}}}\n")
            listener.process.send_signal(signal.SIGHUP)
            hears((500, 0.5), lambda: problem() == "", 10)
            threshold = "asit/hall/pipe/threshold/high_tone"
            hears((500, 0.5), lambda: "0.6" in subscriber.payloads(threshold), 10)
            hears((500, 0.5), lambda: shown() == {"Low tone": 0.5, "High tone": 0.6}, 10)
            listener.hear((0, 1.5), (3000, 1), (0, 1))
            wait_for(lambda: "High tone" in str(subscriber.payloads("asit/hall/pipe/event")), 10, "it is heard")
        finally:
            events, said = listener.end()
            broker.kill()
        assert subscriber.payloads("asit/hall/pipe/gap") == []
    started = [event["label"] for event in events if event["type"] == "new"]
    assert started == ["Low tone", "Low tone", "High tone"]
    assert said.count("what was before stays in force") == 2
    assert "in force: events.labels.High tone" in said


def test_sources_sinks_broker_page_and_clips_change_and_the_source_that_does_not_misses_nothing(
    tone_bundle: Path, tmp_path: Path
) -> None:
    first, second = Mosquitto(tmp_path / "first"), Mosquitto(tmp_path / "second")
    first.start()
    second.start()
    ports = free_port(), free_port()
    config, sink, clips, recording = (tmp_path / name for name in ("config.yaml", "sink", "clips", "tones.wav"))
    soundfile.write(recording, tones((0, 0.5), (3000, 1), (0, 60)), 16_000, subtype="PCM_16")
    listener: list[Listener] = []

    def write(broker: Mosquitto, port: int, *more: str, sources: str = "") -> None:
        fresh = tmp_path / "fresh"
        lines = [
            f"device: hall\nmodel: {tone_bundle}\nstore: {{path: {tmp_path}/events.db}}\n",
            f"sources: [{{type: stdin, name: pipe}}{sources}]\nmqtt: {{host: 127.0.0.1, port: {broker.port}}}\n",
            f"web: {{port: {port}}}\n",
        ]
        fresh.write_text("".join([*lines, *more]), encoding="utf-8")
        os.replace(fresh, config)
        for one in listener:
            one.process.send_signal(signal.SIGHUP)

    def hears(what: tuple[float, float], until: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, "not in time"
            listener[0].hear(what)

    def page(port: int) -> list[str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state", timeout=10) as answer:
                return [source["name"] for source in json.load(answer)["sources"]]
        except OSError:
            return []

    more = f"sinks: [{{type: file, path: {sink}, types: [new]}}]\n"
    write(first, ports[0])
    listener.append(Listener(config))
    with Subscriber(first, topic="asit/hall/#") as old, Subscriber(second, topic="asit/hall/#") as new:
        try:
            hears((0, 0.5), lambda: "listening" in str(old.payloads("asit/hall/pipe/status")))
            # A source and a sink more.
            write(first, ports[0], more, sources=f", {{type: file, name: tape, path: {recording}}}")
            hears((0, 0.5), lambda: "High tone" in str(old.payloads("asit/hall/tape/event")))
            hears((0, 0.5), lambda: sink.exists() and '"tape"' in sink.read_text())
            assert page(ports[0]) == ["pipe", "tape"]
            # It is gone, and so is what the broker kept for it.
            write(first, ports[0], more)
            hears((0, 0.5), lambda: old.payloads("asit/hall/tape/status")[-1] == "")
            hears((0, 0.5), lambda: old.payloads("asit/hall/tape/sound/high_tone")[-1] == "")
            # All at once: another broker, another port of the page, clips.
            write(second, ports[1], more, f"clips: {{enabled: true, folder: {clips}}}\n")
            hears((0, 0.5), lambda: "listening" in str(new.payloads("asit/hall/pipe/status")))
            hears((0, 0.5), lambda: old.payloads("asit/hall/available")[-1] == "offline")
            hears((0, 0.5), lambda: page(ports[1]) == ["pipe"])
            assert page(ports[0]) == []
            listener[0].hear((500, 1))
            hears((0, 0.5), lambda: any(json.loads(one)["kept"] for one in new.payloads("asit/hall/pipe/clip")))
            # What cannot be used changes nothing, and all of it says why.
            write(first, ports[0], f"sinks: [{{type: webhook, url: https://x/, token_file: {tmp_path}/none}}]\n")
            hears((0, 0.5), lambda: "token_file" in str(new.payloads("asit/hall/health")))
            assert page(ports[1]) == ["pipe"]
        finally:
            events, said = listener[0].end()
            first.kill()
            second.kill()
        gaps = old.payloads("asit/hall/pipe/gap") + new.payloads("asit/hall/pipe/gap")
    assert gaps == [], said
    assert list(clips.rglob("*.flac"))
    assert [event["source"] for event in events if event["type"] == "new"] == ["tape", "pipe"]
    assert new.payloads("asit/hall/available")[-1] == "offline"
    assert "Traceback" not in said, said
