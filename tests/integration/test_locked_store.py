"""Another program has the store locked for long: listening goes on, events arrive, nobody speaks of overload."""

import json
import sqlite3
import time
from pathlib import Path

from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for
from tests.integration.test_delivery import listening, rows


def test_listening_does_not_wait_for_another_programs_lock(tmp_path: Path, tone_bundle: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    with Subscriber(broker, topic="asit/hall/#") as subscriber:
        process = listening(tmp_path, tone_bundle, broker, 16)
        topic = "asit/hall/mic/event"
        try:
            wait_for(lambda: subscriber.payloads(topic), 20, "the first event")
            other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            locked_at, before = time.monotonic(), len(subscriber.payloads(topic))
            wait_for(lambda: len(subscriber.payloads(topic)) >= before + 10, 12, "events arrive all the same")
            assert 3 < time.monotonic() - locked_at < 8, "as they happen"
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
        assert len(out.splitlines()) == 32
        assert rows(tmp_path / "events.db", "SELECT count(DISTINCT seq) FROM event") == 32
