"""The metrics' names and meanings, in one place: what dashboards and alarms are written against."""

from typing import NamedTuple

INFERENCE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds of one batch."""

LATENCY_BUCKETS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Seconds from an onset on; beyond a few, something was away."""

OTHER = "other"
"""Stands for a label that the model does not have: its number is bounded."""

CAUSES = (
    *("lost", "stalled", "overrun", "suspend", "digital silence", "overload", "muted", "absent", "no scores"),
    "restart",
)
"""Why audio was never heard: each is counted from nothing at once, so that the first gap is an increase."""


class Name(NamedTuple):
    """A metric: counters get `_total` behind their name."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


# Counted by `tallies`.
SAMPLES = Name("asit_heard_samples", "Samples of audio heard, at the source's own rate.", ("source",))
SECONDS = Name("asit_heard_seconds", "Seconds of audio heard.", ("source",))
GAPS = Name("asit_gaps", "Stretches of audio that were never heard, by cause.", ("source", "cause"))
GAP_SECONDS = Name("asit_gap_seconds", "Seconds of audio that were never heard, by cause.", ("source", "cause"))
DECISIONS = Name("asit_decisions", "Times that every label was decided on.", ("source",))
CHUNKS = Name("asit_inference_chunks", "Chunks of audio that the model has scored, of all sources.")
INFERENCE = Name(
    "asit_inference_seconds", "Time that the model took for one batch: a chunk of every source that waited."
)
EVENTS = Name("asit_events", "Messages about events, by what they say.", ("source", "label", "type"))
COMMITTED = Name(
    "asit_event_committed_seconds", "From an event's onset until it was committed to the store.", ("source",)
)
ACKNOWLEDGED = Name(
    "asit_event_acknowledged_seconds", "From an event's onset until the broker acknowledged it.", ("source",)
)

# Looked up when they are asked for, by `present`.
HEALTHY = Name("asit_healthy", "1 if every source is listened to, or muted on purpose, and nothing is wrong.")
STATE = Name("asit_source_state", "1 for the state that the source is in, 0 for the others.", ("source", "state"))
LEVEL = Name("asit_source_level_dbfs", "How loud the source was during the last second (RMS).", ("source",))
PEAK = Name("asit_source_peak_dbfs", "Its highest sample during the last second.", ("source",))
PART_OK = Name("asit_delivery_ok", "1 if nothing is wrong with the store, the device's name or a sink.", ("part",))
QUEUE = Name("asit_queue_messages", "Messages in the store that a sink has not taken yet.", ("sink",))
DROPPED = Name("asit_messages_dropped", "Messages given up undelivered, because a bound of the store was reached.")
REFUSED = Name("asit_messages_refused", "Messages that a sink refused for good, and that the store keeps.")
SIDE_DROPPED = Name(
    "asit_side_output_dropped", "What bounded queues beside the listening had no room for.", ("output",)
)
ROUND = Name("asit_loop_round_seconds", "Time since the listening loop's last round.")
DEVICE = Name("asit_device", "The device and its software.", ("device", "version"))
MODEL = Name("asit_model", "The model, and what runs it now.", ("model", "version", "backend", "precision", "provider"))
TEMPERATURE = Name("asit_temperature_celsius", "As the platform tells, by its name of the zone.", ("zone",))
