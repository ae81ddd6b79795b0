"""Time is counted in samples; the wall clock only says when sample 0 was."""

from datetime import datetime, timezone


class SampleClock:
    """Wall-clock times of sample positions: `anchor + position / rate`. Steps of the system clock do not move them."""

    def __init__(self, anchor: float, rate: int) -> None:
        """`anchor` is the time of sample 0 in seconds since the epoch, `rate` in Hz."""
        self.anchor = anchor
        self.rate = rate

    def epoch(self, position: int) -> float:
        """Seconds since the epoch, to the millisecond."""
        return round(self.anchor + position / self.rate, 3)


def iso(epoch: float) -> str:
    """UTC, ISO 8601 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(round(epoch, 3), tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time; one without an offset is taken as UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
