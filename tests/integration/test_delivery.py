"""What was committed arrives, whatever happens to the broker, the network, the process or the disk meanwhile."""

import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import soundfile
import yaml

from asit_edge.store.store import Store
from tests.conftest import RATE, tones
from tests.integration.mosquitto import PASSWORD, Mosquitto, Subscriber, wait_for
from tests.integration.proxy import Proxy
from tests.integration.test_mqtt import ENVIRONMENT, asit_edge
from tests.store.samples import TO_MQTT, damaged_store, event


def write_config(folder: Path, bundle: Path, sources: list[dict[str, Any]], mqtt: dict[str, Any], **more: Any) -> Path:
    config = {
        "device": "hall",
        "model": str(bundle),
        "sources": sources,
        "mqtt": {"host": "127.0.0.1", **mqtt},
        "store": {"path": str(folder / "events.db")},
        **more,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


TWO = [{"type": "file", "name": name, "path": "never-opened.wav"} for name in ("mic", "yard")]


class Feeder:
    """`tests.integration.feeder` as a process, with what it said."""

    def __init__(self, config: Path, first: int = 0, count: int = 0, rate: float = 1.0) -> None:
        command = [sys.executable, "-m", "tests.integration.feeder", config, first, count, rate]
        environment = ENVIRONMENT | {"ASIT_EDGE_MQTT_PASSWORD": PASSWORD}
        self._out, self._err = config.parent / "feeder.out", config.parent / "feeder.err"
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self.process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, env=environment)

    @property
    def committed(self) -> set[tuple[str, int, str]]:
        """Source, number and id of every event of which it knew that it was committed."""
        lines = [line.split() for line in self._out.read_text().split("\n")[:-1]]
        return {(line[0], int(line[1]), line[2]) for line in lines if len(line) == 3}

    @property
    def log(self) -> str:
        return self._err.read_text()

    def finish(self, seconds: float = 300) -> None:
        """Waits for its end, at which nothing may remain."""
        assert self.process.wait(timeout=seconds) == 0, self.log
        assert self._out.read_text().splitlines()[-1] == "remaining 0", self.log


def rows(store: Path, query: str) -> int:
    reader = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=10)
    try:
        return int(reader.execute(query).fetchone()[0])
    finally:
        reader.close()


def first_arrivals(messages: list[tuple[str, str, bool]]) -> tuple[list[dict[str, Any]], int]:
    """The events in the order in which each first came, and how many came again (with the same content)."""
    seen: dict[tuple[str, str, int], dict[str, Any]] = {}
    again = 0
    for topic, payload, _ in messages:
        if topic.endswith("/event"):
            told = json.loads(payload)
            key = (told["id"], told["type"], told["seq"])
            if key in seen:
                again += 1
                assert {**told, "replayed": None} == {**seen[key], "replayed": None}
            else:
                seen[key] = told
    return list(seen.values()), again


def assert_in_order(events: list[dict[str, Any]]) -> None:
    """Per source, the live ones ascend, and so do the replayed ones."""
    for source in {told["source"] for told in events}:
        for replayed in (False, True):
            order = [told["seq"] for told in events if (told["source"], told["replayed"]) == (source, replayed)]
            assert order == sorted(order), (source, replayed)


RULES = {"device": "topic readwrite asit/hall/#\ntopic write homeassistant/#", "reader": "topic read #"}


@pytest.fixture
def strict_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path / "broker", RULES)
    broker.start()
    yield broker
    broker.kill()


def test_ten_thousand_events_survive_whatever_happens_to_the_broker(
    tmp_path: Path, tone_bundle: Path, strict_broker: Mosquitto
) -> None:
    broker = strict_broker
    count = 10_000
    # The subscriber takes QoS 0: then the broker hands on at once what it acknowledges, and its death loses nothing.
    with Proxy(broker.port) as proxy, Subscriber(broker, "reader", topic="asit/#", qos=0) as subscriber:
        mqtt = {"port": proxy.port, "username": "device", "backlog_rate": 400}
        config = write_config(tmp_path, tone_bundle, TWO, mqtt)
        fed = Feeder(config, 0, count, 900)
        store = tmp_path / "events.db"
        arrived = subscriber.messages

        def after(more: int) -> None:
            """Waits until so many more have come."""
            target = len(arrived) + more
            wait_for(lambda: len(arrived) >= target, 90, "messages arrive")

        def pile_up() -> None:
            before = rows(store, "SELECT max(seq) FROM event")
            wait_for(lambda: rows(store, "SELECT max(seq) FROM event") > before + 400, 90, "more is heard")

        def restart() -> None:
            broker.start()
            subscriber.resubscribed()
            proxy.open()

        try:
            wait_for(lambda: len(arrived) > 500, 90, "the first events")
            proxy.cut()  # so that nothing is acknowledged that a dead broker cannot hand on
            time.sleep(0.2)
            broker.kill()
            pile_up()
            restart()
            after(1500)

            proxy.swallow()
            pile_up()
            proxy.cut()
            proxy.open()
            after(1500)

            broker.admit("reader")
            proxy.cut()
            proxy.open()
            pile_up()
            broker.admit("device", "reader")
            after(1500)

            permitted = len(arrived)
            broker.rule("device", "topic write asit/hall/mic/#\ntopic write asit/hall/available")
            wait_for(lambda: rows(store, "SELECT count(*) FROM dead_letter") > 50, 90, "dead letters")
            broker.rule("device", RULES["device"])
            fed.finish()
        finally:
            fed.process.kill()
        committed = {(source, seq) for source, seq, _ in fed.committed}
        assert len(committed) == count
        dead = Store(store, sinks=TO_MQTT)
        refused = {refusal.topic for refusal in dead.refusals()}
        buried = rows(store, "SELECT count(*) FROM dead_letter WHERE topic = 'yard/event'")
        dead.close()
        assert refused <= {"yard/event"}, "what was denied follows when the rules allow it again"

        wait_for(lambda: len(first_arrivals(arrived)[0]) >= count - buried, 90, "everything that was not refused")
        events, again = first_arrivals(arrived)
        assert len(events) + buried == count
        assert {(told["source"], told["seq"]) for told in events} <= committed
        assert_in_order(first_arrivals(arrived[:permitted])[0])
        assert_in_order([told for told in events if told["source"] == "mic"])  # what is denied follows later
        assert any(told["replayed"] for told in events)
        print(f"{len(events)} arrived, {again} came twice, {buried} refused by the rules")
        for problem in ("connection lost", "refuses user 'device'", "refuses a message for good"):
            assert problem in fed.log

        before = len([topic for topic, _, _ in arrived if topic.endswith("/event")])
        Feeder(config).finish()
        after_restart = [topic for topic, _, _ in arrived if topic.endswith("/event")]
        assert len(after_restart) == before + buried, "no duplicates after a clean restart"


def kill_repeatedly(config: Path, times: int, subscriber: Subscriber, seed: int = 0) -> tuple[int, int, int]:
    """Kills the feeder with -9 at random instants. Returns committed and known, arrived, and arrived twice."""
    dice = random.Random(seed)
    known: set[tuple[str, int, str]] = set()
    first = 0
    for _ in range(times):
        fed = Feeder(config, first, 100_000, 800)
        wait_for(lambda fed=fed: fed.committed, 90, "the first events")  # type: ignore[misc]
        time.sleep(dice.uniform(0.0, 0.3))
        fed.process.send_signal(signal.SIGKILL)
        fed.process.wait()
        known |= fed.committed
        first += 2 * (len(fed.committed) + 100)
    Feeder(config).finish()

    def arrived() -> list[dict[str, Any]]:
        return first_arrivals(subscriber.messages)[0]

    wait_for(
        lambda: known <= {(told["source"], told["seq"], told["id"]) for told in arrived()}, 90, "every committed event"
    )
    events, again = first_arrivals(subscriber.messages)
    assert_in_order(events)
    assert len({told["seq"] for told in events}) == len(events), "no number twice"
    return len(known), len(events), again


def test_every_committed_event_arrives_though_the_listener_is_killed(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    config = write_config(tmp_path, tone_bundle, TWO, {"port": broker.port, "backlog_rate": 3000})
    with Subscriber(broker, topic="asit/hall/+/event") as subscriber:
        known, arrived, again = kill_repeatedly(config, 8, subscriber)
        print(f"{known} known to be committed, {arrived} arrived, {again} twice")


PIPE = [{"type": "stdin", "name": "mic"}]
BEEPS = (tones(*[beep for _ in range(30) for beep in ((0, 0.3), (500, 0.2))]) * 32767).astype("<i2").tobytes()
"""A quarter of a minute of short sounds, of which a listener may hear the first five seconds at once."""


def kill_listener_repeatedly(config: Path, times: int, subscriber: Subscriber, seed: int = 0) -> tuple[int, int, int]:
    """The same with `asit-edge listen`: what it had printed was committed. The last one is left to end."""
    dice = random.Random(seed)
    known: set[tuple[str, int, str]] = set()
    sound, out = config.parent / "beeps.raw", config.parent / "listener.out"
    sound.write_bytes(BEEPS)
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", str(config)]
    for _ in range(times):
        with sound.open("rb") as audio, out.open("wb") as told:
            listener = subprocess.Popen(command, stdin=audio, stdout=told, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        wait_for(out.read_bytes, 60, "the first event")
        time.sleep(dice.uniform(0.0, 1.0))
        listener.kill()
        listener.wait()
        events = [json.loads(line) for line in out.read_text().split("\n")[:-1]]
        known |= {(told["source"], told["seq"], told["id"]) for told in events}
    sound.write_bytes(b"")
    with sound.open("rb") as audio:
        subprocess.run(command, stdin=audio, capture_output=True, check=True, timeout=120, env=ENVIRONMENT)

    def arrived() -> set[tuple[str, int, str]]:
        return {(told["source"], told["seq"], told["id"]) for told in first_arrivals(subscriber.messages)[0]}

    wait_for(lambda: known <= arrived(), 60, "every committed event")
    events, again = first_arrivals(subscriber.messages)
    assert_in_order(events)
    return len(known), len(events), again


def test_every_event_that_a_killed_listener_had_printed_arrives(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    mqtt = {"port": broker.port, "backlog_rate": 3000}
    config = write_config(tmp_path, tone_bundle, PIPE, mqtt, events={"merge_gap": 0.0, "update_every": 0.0})
    with Subscriber(broker, topic="asit/hall/+/event") as subscriber:
        known, _, _ = kill_listener_repeatedly(config, 4, subscriber)
    assert known >= 4


def outage(config: Path, folder: Path, waiting: int, live: int, subscriber: Subscriber) -> dict[str, float]:
    """Delivers a backlog of `waiting` events while `live` new ones come. Returns what was measured."""
    store = Store(folder / "events.db", keep=2 * waiting, sinks=TO_MQTT)
    for first in range(0, waiting, 1000):
        store.commit([event(number) for number in range(first, min(first + 1000, waiting))], "mic/event")
    store.close()
    with sqlite3.connect(folder / "events.db") as database:  # heard in the course of the day before
        database.execute("UPDATE outbox SET queued = queued - 86400 + row * 80000.0 / ?", (waiting,))
    database.close()
    began = time.monotonic()
    fed = Feeder(config, 0, live, 20)
    watched = psutil.Process(fed.process.pid)
    wait_for(lambda: len(subscriber.messages) > 100, 90, "the backlog flows")
    memory = [watched.memory_info().rss]
    started = time.monotonic()
    half_at = 0.0
    while len(subscriber.messages) < waiting:
        if fed.process.poll() is None:
            memory.append(watched.memory_info().rss)
        if not half_at and len(subscriber.messages) > waiting // 2:
            half_at = time.monotonic()
        assert time.monotonic() < began + 600
        time.sleep(0.05)
    seconds = time.monotonic() - started
    fed.finish()
    wait_for(lambda: len(first_arrivals(subscriber.messages)[0]) == waiting + live, 90, "everything")
    events, again = first_arrivals(subscriber.messages)
    assert again == 0
    assert_in_order(events)
    assert [told["replayed"] for told in events if told["id"].startswith("id-")] == [True] * waiting
    fresh = [index for index, told in enumerate(events) if told["seq"] > waiting]
    return {
        "rate": waiting / seconds,
        "memory_mb": max(memory) / 1e6,
        "grown_mb": (max(memory) - memory[0]) / 1e6,
        "first_live_behind": fresh[0],
        "live_before_the_backlog_ended": sum(index < waiting for index in fresh),
    }


def test_after_a_long_outage_new_events_go_first_and_the_backlog_follows_at_its_rate(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    waiting, live, rate = 6_000, 60, 1500
    config = write_config(tmp_path, tone_bundle, TWO, {"port": broker.port, "backlog_rate": rate})
    with Subscriber(broker, topic="asit/hall/+/event") as subscriber:
        measured = outage(config, tmp_path, waiting, live, subscriber)
    assert measured["rate"] < 1.15 * rate
    assert measured["grown_mb"] < 20
    assert measured["first_live_behind"] < waiting / 10
    assert measured["live_before_the_backlog_ended"] > live / 2


# Disks that fail, under `asit-edge listen` itself.


def listening(folder: Path, bundle: Path, broker: Mosquitto, seconds: int, **more: Any) -> "subprocess.Popen[str]":
    """`asit-edge listen` on a file in which a low tone comes every second."""
    sound = folder / "sound.wav"
    soundfile.write(sound, tones(*[(500, 0.4), (0, 0.6)] * seconds), RATE)
    source = {"type": "file", "name": "mic", "path": str(sound)}
    config = write_config(folder, bundle, [source], {"port": broker.port}, events={"merge_gap": 0.2}, **more)
    return asit_edge("listen", "--config", config)


def limit_files(process: "subprocess.Popen[str]", size: int) -> None:
    """No file of that process grows beyond so many bytes: what a full disk does, without the rights to make one."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_with_a_full_disk_listening_goes_on_and_alarms_arrive(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, 7)
        try:
            topic = "asit/hall/mic/event"
            wait_for(lambda: len(subscriber.payloads(topic)) >= 2, 20, "the first event")
            limit_files(process, 4096)
            full_at = len(subscriber.payloads(topic))
            wait_for(lambda: len(subscriber.payloads(topic)) >= full_at + 2, 20, "events arrive all the same")
            health = wait_for(
                lambda: [one for one in subscriber.payloads("asit/hall/health") if json.loads(one)["problem"]],
                10,
                "the operator is told",
            )
            assert "events.db: cannot be written" in json.loads(health[0])["problem"]
            limit_files(process, resource.RLIM_INFINITY)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 0, err
        assert "listening goes on" in err
        assert len(out.splitlines()) == 14
        wait_for(lambda: len(subscriber.payloads(topic)) > 13, 10, "all events")
        assert sorted(subscriber.payloads(topic)) == sorted(out.splitlines()), "each once"
    assert rows(tmp_path / "events.db", "SELECT count(*) FROM event") == 14, "and memory went to disk in the end"


def read_only_folder(path: Path) -> Path:
    """Somewhere nobody can write: a read-only mount, or for others than root a folder without the right to."""
    path.mkdir()
    if os.geteuid() != 0:
        path.chmod(0o555)
        return path
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", path], capture_output=True)
    return path if mounted.returncode == 0 else Path("/proc")


def test_with_a_read_only_disk_listening_goes_on_from_memory(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    disk = read_only_folder(tmp_path / "disk")
    try:
        with Subscriber(broker, topic="asit/hall/#") as subscriber:
            process = listening(tmp_path, tone_bundle, broker, 2, store={"path": str(disk / "asit" / "events.db")})
            out, err = process.communicate(timeout=30)
            assert process.returncode == 0, err
            assert "events.db: cannot be written" in err
            assert len(out.splitlines()) == 4
            wait_for(lambda: len(subscriber.payloads("asit/hall/mic/event")) == 4, 10, "all events")
    finally:
        subprocess.run(["umount", disk], capture_output=True)


def test_a_damaged_store_is_saved_and_what_it_held_is_delivered(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    damaged_store(tmp_path / "events.db", 200, spoil_at=None)
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, 2)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "is damaged" in err
        assert "the damaged file is kept as" in err
        events = [json.loads(payload) for payload in subscriber.payloads("asit/hall/mic/event")]
        saved = [told for told in events if told["id"].startswith("id-")]
        assert len([told for told in saved if told["type"] == "new"]) > 135, "all but one page of them"
        ended = len([told for told in saved if told["type"] == "end"])
        assert ended > 135, "none of them had ended"
        assert [told["seq"] - ended for told in events if told not in saved] == [201, 202, 203, 204]
        assert len(out.splitlines()) == ended + 4


def test_a_message_on_which_the_broker_hangs_up_does_not_block_the_others(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    """MQTT 3.1.1 has no words for "too large": the broker ends the connection, every time."""
    broker.kill()
    broker.configure("max_packet_size 600")
    broker.start()
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store.commit([event(0), event(1).model_copy(update={"label": "x" * 600}), event(2)], "mic/event")
    store.close()
    mqtt = {"port": broker.port, "protocol": "3.1.1"}
    config = write_config(tmp_path, tone_bundle, TWO, mqtt, home_assistant={"discovery": False})
    with Subscriber(broker, topic="asit/hall/mic/event") as subscriber:
        Feeder(config).finish()
        wait_for(lambda: len(subscriber.messages) >= 2, 10, "the others")
        assert {json.loads(payload)["id"] for _, payload, _ in subscriber.messages} == {"id-0", "id-2"}
    [refusal] = Store(tmp_path / "events.db").refusals()
    assert "closed the connection on it" in refusal.reason


def test_a_message_that_is_too_large_is_known_beforehand_with_mqtt_5(
    tmp_path: Path, tone_bundle: Path, broker: Mosquitto
) -> None:
    broker.kill()
    broker.configure("max_packet_size 900")
    broker.start()
    store = Store(tmp_path / "events.db", sinks=TO_MQTT)
    store.commit([event(0), event(1).model_copy(update={"label": "x" * 600}), event(2)], "mic/event")
    store.close()
    config = write_config(tmp_path, tone_bundle, TWO, {"port": broker.port}, home_assistant={"discovery": False})
    fed = Feeder(config)
    fed.finish()
    [refusal] = Store(tmp_path / "events.db").refusals()
    assert refusal == ("mqtt", "mic/event", "larger than the broker takes (900 bytes)")
    assert "connection lost" not in fed.log, "nothing had to break for it"
