"""What a device can report: the labels of each source, what stands for them in topics, and their thresholds. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.messages.report import Adjusted, Status
from asit_edge.model.bundle import Manifest
from asit_edge.mqtt.discovery import discovery
from asit_edge.mqtt.topics import Topics, label_slugs


@dataclass(frozen=True)
class Reported:
    """The labels that at least one source reports."""

    slugs: Mapping[str, str]
    """A label's id to what stands for it in topics."""
    names: Mapping[str, str]
    """That to the display name."""
    thresholds: Mapping[str, Mapping[str, float]]
    """For each source: what stands for a label to the score at which its events begin."""

    def slug_of(self, name: str) -> str | None:
        """What stands for the label of that display name, if it is reported."""
        return next((slug for slug, known in self.names.items() if known == name), None)


def reported(config: Config, manifest: Manifest) -> Reported:
    """Raises WrongUse where a source's settings do not fit the model."""
    settings = {
        source.name: class_settings(config.events, manifest, source.events, f"sources[{index}].events")
        for index, source in enumerate(config.sources)
    }
    labels = [
        label for column, label in enumerate(manifest.labels) if any(classes[column] for classes in settings.values())
    ]
    slugs = label_slugs(labels)
    thresholds = {
        source: {slugs[label.id]: entry.on for label, entry in zip(manifest.labels, classes, strict=True) if entry}
        for source, classes in settings.items()
    }
    return Reported(slugs, {slugs[label.id]: label.name for label in labels}, thresholds)


def starting_state(
    config: Config, topics: Topics, known: Reported, model: str, since: str
) -> Iterator[tuple[str, str]]:
    """Topics and payloads that are true before anything is heard; `model` names it, `since` is ISO 8601.

    What each source does comes first.
    """
    for source in known.thresholds:
        status = Status(schema=1, device=topics.device, source=source, state="starting", since=since)
        yield topics.status(source), status.to_json()
    for source in known.thresholds:
        nothing = Adjusted(schema=1, device=topics.device, source=source, listen=True, snoozed_until=None, labels={})
        yield topics.adjusted(source), nothing.to_json()
    yield from _labels(config, topics, known, model)


def news(
    config: Config, topics: Topics, before: Reported, known: Reported, model: str, said_by: Config | None = None
) -> Iterator[tuple[str, str]]:
    """What is to be said when `known` takes the place of `before`; an empty payload: it is gone.

    `said_by` is the configuration by which `before` was said, if it is another one.
    """
    said = dict(_labels(said_by or config, topics, before, model))
    now = dict(_labels(config, topics, known, model))
    yield from ((topic, "") for topic in said if topic not in now)
    yield from ((topic, payload) for topic, payload in now.items() if said.get(topic) != payload)


def _labels(config: Config, topics: Topics, known: Reported, model: str) -> Iterator[tuple[str, str]]:
    """Of every label of every source: that it is not heard, its threshold, and for Home Assistant that there is it."""
    for source, thresholds in known.thresholds.items():
        for label, threshold in thresholds.items():
            yield topics.sound(source, label), "OFF"
            yield topics.threshold(source, label), f"{threshold:g}"
    if config.home_assistant.discovery:
        labels = {
            source: {label: known.names[label] for label in thresholds}
            for source, thresholds in known.thresholds.items()
        }
        yield from discovery(config.home_assistant.prefix, topics, labels, model).items()
