"""Recordings through the same pipeline as live audio, at any speed, with the same result every time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from asit_edge.assembly import Model
from asit_edge.audio.clock import SampleClock
from asit_edge.audio.sources.audio_file import AudioFile
from asit_edge.config.events import QuietHours
from asit_edge.detect.event_writer import EventWriter
from asit_edge.detect.quiet_hours import QuietTimes
from asit_edge.detect.tracker import Change
from asit_edge.errors import AsitEdgeError
from asit_edge.labels import slug
from asit_edge.messages.event import Event
from asit_edge.model.bundle import sha256
from asit_edge.observe.observer import Observer
from asit_edge.store.store import Store


def replay(
    path: Path,
    model: Model,
    device: str,
    store: Store,
    start: float = 0.0,
    quiet_hours: Sequence[QuietHours] = (),
    observer: Observer | None = None,
) -> Iterator[Event]:
    """The events of a recording, committed to `store` before they are given out.

    `start` is the time at which the recording began, in seconds since the epoch; quiet hours go by it. The id of an
    event depends on the recording's content, device, label and onset, not on when or how fast it is replayed.
    `observer` sees what is heard, how it was scored, and the events.

    Raises AsitEdgeError if the file breaks off; every event has been ended then.
    """
    audio = AudioFile(path)
    pipeline = model.pipeline(audio.rate)
    clock = SampleClock(start, model.manifest.front_end.sample_rate)
    source = slug(path.stem)
    stream = sha256(path)
    labels = [label.name for label in model.manifest.labels]
    quiet = QuietTimes(quiet_hours, source, labels)
    writer = EventWriter(device, source, stream, clock, model.manifest, replayed=True)
    watching = observer or Observer()
    watching.know(model.manifest)

    def commit(changes: list[Change]) -> list[Event]:
        if not changes:
            return []
        events = store.commit([writer.write(change) for change in changes], f"{source}/event")
        watching.events(source, events)
        return events

    try:
        for block in audio.mono(audio.rate // 2):
            if quiet_hours:
                now = clock.epoch(pipeline.position)
                muted = range(len(labels)) if quiet.muting(now) else quiet.muted_labels(now)
                yield from commit(pipeline.tracker.mute(muted))
            watching.heard(source, clock.epoch(pipeline.position), block, audio.rate)
            changes = pipeline.push(block)
            if pipeline.scores is not None:
                watching.scored(source, clock.epoch(pipeline.tracker.position), pipeline.scores)
            yield from commit(changes)
    except AsitEdgeError:
        yield from commit(pipeline.finish())
        raise
    finally:
        audio.close()
    yield from commit(pipeline.finish())
