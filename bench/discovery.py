"""What a source of the bundled model costs Home Assistant's broker: messages and bytes of discovery, in each layout.

python -m bench.discovery                                # the default bundle, nothing chosen
python -m bench.discovery --label Dog --label Cat        # with these sounds named in events.labels
python -m bench.discovery --only Dog --only Cat          # with nothing but these reported (events.only)
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any, get_args

from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.deliver.reported import Reported, reported
from asit_edge.mqtt.discovery import Home, Layout, discovery
from asit_edge.mqtt.entities import SourceFacts
from asit_edge.mqtt.topics import Topics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--only", action="append")
    asked = parser.parse_args()
    events = {"labels": {name: {} for name in asked.label}, "only": asked.only}
    config = Config.model_validate({"device": "hall", "events": events})
    manifest = load_model(config).manifest
    known, topics = reported(config, manifest), Topics("asit", "hall")
    facts = facts_of(known, config)
    print(f"{manifest.name}: {len(known.names)} sounds reported by one source")
    print(f"{'layout':10} {'messages':>8} {'bytes':>8} {'largest':>8} {'entities':>8} {'enabled':>8}")
    for layout in get_args(Layout):
        home = Home("homeassistant", layout, f"{manifest.name} {manifest.version}")
        found = discovery(home, topics, facts)
        print(row(layout, found))


def facts_of(known: Reported, config: Config) -> Mapping[str, SourceFacts]:
    return {source.name: SourceFacts(source.type, known.names, known.chosen[source.name]) for source in config.sources}


def row(layout: str, found: Mapping[str, str]) -> str:
    """A line of the table. Bytes are those of topics and payloads."""
    sizes = [len(topic.encode()) + len(payload.encode()) for topic, payload in found.items()]
    components = [one for payload in found.values() for one in announced(json.loads(payload))]
    enabled = sum(one.get("en", True) for one in components)
    numbers = (len(found), sum(sizes), max(sizes), len(components), enabled)
    return f"{layout:10} " + " ".join(f"{number:8,}" for number in numbers)


def announced(message: dict[str, Any]) -> list[dict[str, Any]]:
    return list(message["cmps"].values()) if "cmps" in message else [message]


if __name__ == "__main__":
    main()
