"""Which stored messages are live and which are backlog, and how fast the backlog flows.

Pure: rows come in as numbers, and time as seconds of any clock.
"""

from asit_edge.deliver.sinks.base import LATE_SECONDS


class TokenBucket:
    """At most `rate` messages a second, and at most a quarter of a second's worth at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._most = rate, max(rate / 4, 1.0)
        self._tokens, self._at = 0.0, now

    def allowance(self, now: float) -> int:
        """How many messages may go now."""
        self._tokens = min(self._tokens + (now - self._at) * self._rate, self._most)
        self._at = now
        return int(self._tokens)

    def spend(self, count: int) -> None:
        self._tokens -= count


class SendOrder:
    """The order in which one connection gets the outbox's rows: live ones first, the backlog behind at its own rate.

    What waited is backlog if there is more of it than the rate clears in a second; otherwise it goes first, and the
    order is that of events.
    """

    def __init__(self, newest: int, old: int, waiting: int, rate: float, now: float) -> None:
        """As found when the connection came: the newest row; the newest that has waited for long, or 0; how many wait
        up to that one; the rate in messages a second.
        """
        self._newest = newest
        self._bucket = TokenBucket(rate, now)
        self.boundary = old if waiting > rate else 0
        """The last row of the backlog; 0 without one."""
        self.live_after, self.backlog_after = self.boundary, 0
        """The rows behind which either goes on."""

    def backlog_room(self, free: int, now: float) -> int:
        """How many rows of the backlog may be sent now, where `free` more messages may be on their way."""
        return min(free, self._bucket.allowance(now))

    def spend(self, count: int) -> None:
        """So many rows of the backlog were sent."""
        self._bucket.spend(count)

    def backlog_done(self) -> None:
        """All of the backlog is on its way."""
        self.boundary = 0

    def is_late(self, row: int, waited: float) -> bool:
        """Whether a row that waited for so many seconds is to be marked as replayed.

        Where there is a backlog, it is what is late: so the late ones keep their order, and so do the others.
        """
        if self.boundary:
            return row <= self.boundary
        return row <= self._newest and waited > LATE_SECONDS
