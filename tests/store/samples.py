"""Events and gaps to store, and a store's file that is damaged."""

from pathlib import Path

from asit_edge.messages.event import Event, ModelName
from asit_edge.messages.report import Gap
from asit_edge.store.store import Store

TO_MQTT = {"mqtt": lambda _: True}


def event(number: int = 0, source: str = "mic") -> Event:
    return Event(
        schema=1,
        type="new",
        id=f"id-{number}",
        device="hall",
        source=source,
        label="Dog",
        label_id="/m/0bt9lr",
        score=0.9,
        peak=0.9,
        onset="2026-01-01T00:00:00.000Z",
        offset=None,
        duration=None,
        onset_epoch=1767225600.0,
        latency_ms=100,
        seq=0,
        replayed=False,
        clip=None,
        model=ModelName(name="m", version="1"),
    )


def gap() -> Gap:
    return Gap.model_validate(
        {
            "schema": 1,
            "device": "hall",
            "source": "mic",
            "from": "2026-01-01T00:00:00.000Z",
            "to": "2026-01-01T00:00:01.000Z",
            "duration": 1.0,
            "cause": "overrun",
        }
    )


def ids(store: Store, sink: str = "mqtt") -> list[str]:
    return [Event.model_validate_json(one.payload).id for one in store.waiting(sink, 0, 10**6)]


def spoil(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


def damaged_store(path: Path, count: int, *, spoil_at: int | None) -> None:
    """A file that was not closed, of `count` events, with a page in the middle (or the first one) spoilt."""
    store = Store(path, sinks=TO_MQTT)
    for first in range(0, count, 50):
        store.commit([event(number) for number in range(first, first + 50)], "mic/event")
    store._disk.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
    store._disk.database.close()  # type: ignore[union-attr]
    spoil(path, spoil_at if spoil_at is not None else path.stat().st_size // 8192 * 4096, 4096)
