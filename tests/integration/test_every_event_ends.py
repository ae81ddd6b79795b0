"""A listener that is killed while something sounds: the next one ends the event and clears what the broker keeps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import ROOT, tones
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for


def listen(config: Path) -> "subprocess.Popen[bytes]":
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ASIT_EDGE")}
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", config]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def feed(process: "subprocess.Popen[bytes]", *parts: tuple[float, float]) -> None:
    assert process.stdin is not None
    process.stdin.write((tones(*parts) * 32_767).astype("<i2").tobytes())
    process.stdin.flush()


def test_what_sounded_when_it_was_killed_ends_at_the_next_start(tmp_path: Path, tone_bundle: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    config = tmp_path / "config.yaml"
    settings = {
        "device": "hall",
        "model": str(tone_bundle),
        "sources": [{"type": "stdin", "name": "pipe"}],
        "store": {"path": str(tmp_path / "events.db")},
        "mqtt": {"host": "127.0.0.1", "port": broker.port},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with Subscriber(broker, topic="asit/#") as subscriber:
        first = listen(config)
        feed(first, (0, 0.5), (500, 4))
        wait_for(lambda: subscriber.payloads("asit/hall/pipe/event"), 20, "new")
        sound = "asit/hall/pipe/sound/low_tone"
        wait_for(lambda: subscriber.payloads(sound)[-1:] == ["ON"], 10, "ON")
        first.kill()
        first.wait()
        second = listen(config)
        feed(second, (0, 1))
        ends = wait_for(lambda: subscriber.payloads("asit/hall/pipe/event")[1:], 20, "end")
        wait_for(lambda: subscriber.payloads("asit/hall/pipe/gap"), 10, "gap")
        wait_for(lambda: subscriber.payloads(sound)[-1:] == ["OFF"], 10, "OFF")
        second.terminate()
        second.communicate(timeout=30)
        new, end, gap = (
            json.loads(text)
            for text in (
                subscriber.payloads("asit/hall/pipe/event")[0],
                ends[0],
                subscriber.payloads("asit/hall/pipe/gap")[0],
            )
        )
    broker.kill()
    assert (new["type"], end["type"], end["id"], end["replayed"]) == ("new", "end", new["id"], True)
    assert end["seq"] > new["seq"]
    assert gap["cause"] == "restart"
    assert new["onset"] <= end["offset"] <= gap["to"], "what was not heard is in the gap"
    assert subscriber.payloads("asit/hall/pipe/event").count(ends[0]) == 1
