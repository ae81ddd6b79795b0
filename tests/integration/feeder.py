"""A process that delivers what a listening loop might hear, as fast as wanted: what is killed in the tests.

    python -m tests.integration.feeder CONFIG FIRST COUNT RATE

Gives `COUNT` events, numbered from `FIRST`, `RATE` a second, alternately to the configuration's sources;
prints a line `source seq id` for each when it is committed, and in the end what remains undelivered after four minutes.
"""

import sys
import time
from pathlib import Path

import asit_edge.deliver.sinks.sender
import asit_edge.mqtt.connection
from asit_edge.assembly import load_model
from asit_edge.config.file import load_config
from asit_edge.deliver.delivery import Delivery
from asit_edge.messages.event import Event
from tests.store.samples import event

BATCH = 5


def heard(number: int, source: str) -> Event:
    """The numbers alternate between the beginning and the end of an event."""
    update = {"type": "end" if number % 2 else "new", "label": "Low tone", "label_id": "low_tone"}
    return event(number // 2, source).model_copy(update=update | {"id": f"{source}-{number // 2}"})


def main() -> None:
    config = load_config(Path(sys.argv[1]))
    first, count, rate = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    asit_edge.mqtt.connection.FIRST_PAUSE = asit_edge.mqtt.connection.LASTING = 0.1
    asit_edge.mqtt.connection.LONGEST_PAUSE = 0.3
    asit_edge.deliver.sinks.sender.FRESH_SECONDS = 0.1  # so that short outages leave a backlog
    delivery = Delivery(config, load_model(config).manifest)
    delivery.start()
    began = time.monotonic()
    sources = [source.name for source in config.sources]
    for done in range(0, count, BATCH):
        source = sources[done // BATCH % len(sources)]
        events = [heard(first + number, source) for number in range(done, min(done + BATCH, count))]
        for written in delivery.events(source, events):
            print(written.source, written.seq, written.id, flush=True)
        time.sleep(max(began + (done + BATCH) / rate - time.monotonic(), 0.0))
    print("remaining", delivery.stop(240).waiting, flush=True)


if __name__ == "__main__":
    main()
