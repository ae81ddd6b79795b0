"""Which message makes a broker close the connection. Pure: time comes in as seconds of any clock."""

from collections import Counter


class Suspicion:
    """Finds the message that makes a broker close the connection: in MQTT 3.1.1 its only answer to one too large.

    After a connection broke soon after messages were sent, they are sent singly for a while; one on which `strikes`
    connections broke, with nothing else on its way, is the cause.
    """

    def __init__(self, strikes: int, soon: float, singly: int) -> None:
        """`soon` in seconds; `singly` is how many messages must pass alone before all is well again."""
        self._needed, self._soon, self._singly = strikes, soon, singly
        self._strikes: Counter[int] = Counter()
        self._left = 0

    @property
    def careful(self) -> bool:
        """Send one message at a time."""
        return self._left > 0

    def broke(self, on_their_way: list[int], seconds_ago: float) -> int | None:
        """A connection ended with these rows unanswered, the last sent so long ago. Gives the culprit."""
        if not on_their_way or seconds_ago > self._soon:
            return None
        self._left = self._singly
        if len(on_their_way) > 1:
            return None
        row = on_their_way[0]
        self._strikes[row] += 1
        return row if self._strikes[row] >= self._needed else None

    def answered(self, row: int) -> None:
        """The broker has answered for this row, whatever the answer."""
        self._left = max(self._left - 1, 0)
        self._strikes.pop(row, None)
