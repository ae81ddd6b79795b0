"""Topics and ids: valid, unique and stable, whatever labels, devices and sources are called."""

import re
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from asit_edge.labels import Label
from asit_edge.mqtt.discovery import Home, discovery
from asit_edge.mqtt.entities import SourceFacts
from asit_edge.mqtt.topics import HomeAssistantIds, Topics, label_slugs

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
TRICKY = NAMES | st.lists(st.sampled_from(["-", "a", "-box", "-source-", "_"]), min_size=1, max_size=5).map("".join)
LABELS = st.lists(
    st.text(min_size=1).filter(lambda name: name.encode("utf-8", "ignore").decode() == name), min_size=1, max_size=6
).map(lambda names: [Label(name=name, id=f"/m/{index}") for index, name in enumerate(names)])


def topics_of(device: str, sources: list[str], labels: list[Label]) -> list[str]:
    topics = Topics("asit", device)
    slugs = label_slugs(labels).values()
    return [
        topics.available,
        topics.health,
        *(topics.event(source) for source in sources),
        *(topics.gap(source) for source in sources),
        *(topics.level(source) for source in sources),
        *(topics.last(source) for source in sources),
        *(topics.picture(source) for source in sources),
        *(topics.status(source) for source in sources),
        *(topics.error(source) for source in sources),
        *(topics.sound(source, label) for source in sources for label in slugs),
        *(topics.threshold(source, label) for source in sources for label in slugs),
        *(topics.command(source, "listen") for source in sources),
        *(topics.command(source, f"threshold/{label}") for source in sources for label in slugs),
    ]


@given(NAMES, st.lists(NAMES, min_size=1, max_size=3, unique=True), LABELS)
def test_every_topic_is_valid_and_nothing_shares_one(device: str, sources: list[str], labels: list[Label]) -> None:
    topics = topics_of(device, sources, labels)
    assert len(set(topics)) == len(topics)
    for topic in topics:
        assert re.fullmatch(r"[A-Za-z0-9_/-]+", topic)
        assert not re.search(r"[+#\0]|//|^/|/$", topic)
        assert len(topic.encode()) < 65_536
    assert topics == topics_of(device, sources, labels), "and they are the same the next time"


@given(
    st.lists(st.tuples(TRICKY, TRICKY), min_size=2, max_size=6, unique=True),
    LABELS,
    st.sampled_from(["device", "entities"]),
)
def test_ids_of_home_assistant_are_valid_and_unique_over_devices_and_sources(
    boxes: list[tuple[str, str]], labels: list[Label], layout: Literal["device", "entities"]
) -> None:
    slugs = dict.fromkeys(label_slugs(labels).values(), "name")
    unique_ids, topics = [], []
    for device in {device for device, _ in boxes}:
        sources = {source: SourceFacts("file", slugs, slugs) for owner, source in boxes if owner == device}
        for topic, payload in discovery(Home("homeassistant", layout, "m 1"), Topics("asit", device), sources).items():
            topics.append(topic)
            unique_ids.extend(re.findall(r'"uniq_id":"([^"]+)"', payload))
            assert re.fullmatch(r"homeassistant/[a-z_]+/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config", topic)
            owners = [one for one, _ in boxes if HomeAssistantIds(one).owns(topic)]
            assert set(owners) == {device}
    assert len(set(topics)) == len(topics)
    assert len(set(unique_ids)) == len(unique_ids)


@given(LABELS, st.permutations(range(6)))
def test_the_slug_of_a_label_does_not_depend_on_the_order_of_labels(labels: list[Label], order: list[int]) -> None:
    shuffled = [labels[index] for index in order if index < len(labels)]
    assert label_slugs(labels) == label_slugs(shuffled)


@given(NAMES, NAMES, st.sampled_from(["listen", "threshold/dog", "threshold/a/b", "x"]))
def test_commands_are_read_back_from_their_topics(device: str, source: str, name: str) -> None:
    topics = Topics("home/asit", device)
    assert topics.parse_command(topics.command(source, name)) == (source, name)


@given(st.text(max_size=40))
def test_other_topics_are_no_commands(topic: str) -> None:
    parsed = Topics("asit", "hall").parse_command(topic)
    assert parsed is None or topic == f"asit/hall/{parsed[0]}/set/{parsed[1]}"


def test_names_are_readable() -> None:
    labels = [Label(name="Crowing, cock-a-doodle-doo", id="/m/1"), Label(name="Dog", id="/m/2")]
    assert label_slugs(labels) == {"/m/1": "crowing_cock_a_doodle_doo", "/m/2": "dog"}
    ids = HomeAssistantIds("Hall-1")
    assert ids.unique_id(ids.component("sound", "mic", "dog")) == "asit_edge-sound-dog-mic@Hall-1"
    assert ids.entity_id("binary_sensor", "mic", "dog") == "binary_sensor.hall_1_mic_dog"
