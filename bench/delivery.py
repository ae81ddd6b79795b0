"""The long versions of the delivery tests, against a real mosquitto: kills of the listener, and an outage of a day.

python -m bench.delivery kills --times 200
python -m bench.delivery listener --times 200
python -m bench.delivery outage --waiting 100000 --rate 1000
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from tests.conftest import write_tone_bundle
from tests.integration.mosquitto import Mosquitto, Subscriber
from tests.integration.test_delivery import (
    PIPE,
    TWO,
    kill_listener_repeatedly,
    kill_repeatedly,
    outage,
    write_config,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "listener", "outage"])
    parser.add_argument(
        "--times",
        type=int,
        default=200,
        help="kill -9 at random instants, of a process that commits or of asit-edge listen",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--waiting", type=int, default=100_000, help="events that waited through the outage")
    parser.add_argument("--live", type=int, default=200, help="events that come meanwhile, 20 a second")
    parser.add_argument("--rate", type=float, default=1_000, help="mqtt.backlog_rate")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        broker = Mosquitto(folder / "broker")
        broker.start()
        mqtt = {"port": broker.port, "backlog_rate": chosen.rate if chosen.what == "outage" else 3000}
        sources, events = (PIPE, {"merge_gap": 0.0, "update_every": 0.0}) if chosen.what == "listener" else (TWO, {})
        config = write_config(folder, write_tone_bundle(folder / "tones"), sources, mqtt, events=events)
        began = time.monotonic()
        try:
            with Subscriber(broker, topic="asit/hall/+/event") as subscriber:
                if chosen.what != "outage":
                    kill = kill_repeatedly if chosen.what == "kills" else kill_listener_repeatedly
                    known, arrived, again = kill(config, chosen.times, subscriber, chosen.seed)
                    print(f"{chosen.times} kills: {known} events known to be committed, all of them arrived;")
                    print(f"{arrived} arrived in all, {again} messages came twice (same id, type and seq)")
                else:
                    print(json.dumps(outage(config, folder, chosen.waiting, chosen.live, subscriber), indent=2))
        finally:
            broker.kill()
        print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
