"""Watches one source: opens it, takes its audio, notices when it fails in whatever way, opens it again.

Nothing is taken for heard that was not. Whatever interrupts the audio (the device is lost, stalls, delivers digital
silence, the machine slept or could not keep up, somebody muted it) is an interruption, for which `Account` accounts.

All decisions are made in `tick`, in the thread of the listening loop, which gives back what became of the source.
"""

from collections.abc import Callable
from dataclasses import dataclass

from asit_edge.audio.clock import Clock, SampleClock
from asit_edge.audio.ring import PAUSE
from asit_edge.audio.sources.source import Capture, Source
from asit_edge.detect.pipeline import Pipeline
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.supervision.account import Account
from asit_edge.listen.supervision.arrivals import Arrivals
from asit_edge.listen.supervision.facts import Became, Fact, Tick
from asit_edge.listen.supervision.opening import Attempt, Opening, close_in_background
from asit_edge.listen.supervision.states import Phase, reported
from asit_edge.messages.report import State

AWAKE = 0.5
"""Seconds within which a block came if the machine has not just slept."""

FIRST_AUDIO = 10.0
"""Seconds that an opened source has at least until its first audio: a stream is connected to and looked into first."""

STEADY_AFTER = 5.0
"""Seconds of audio after which a source counts as recovered, so that the next fault is tried again soon."""

MARGIN = 1.5
"""Seconds before the ring is full at which the oldest audio is given up."""


@dataclass(frozen=True)
class Watch:
    """How long a source may be without audio (seconds) before something is done about it."""

    stall_after: float = 3.0
    reopen_after: float = 10.0
    silent_after: float = 30.0


class SourceSupervisor:
    """One source. `pipeline` must be new; `model_rate` is the rate of its positions in Hz."""

    def __init__(
        self,
        source: Source,
        watch: Watch,
        pipeline: Pipeline,
        model_rate: int,
        clock: Clock,
        attempt: Callable[[Source], Attempt] = Attempt,
        close: Callable[[Capture], None] = close_in_background,
    ) -> None:
        self.source = source
        self.pipeline = pipeline
        self.phase = Phase.OPENING
        self.state: State = "starting"
        self.detail = ""
        self.broken = ""
        """Why a source that is not opened again broke off."""
        self.burden = ""
        """What the load of the machine means for this source at the moment, in words."""
        self.muted = ""
        """Why nothing is listened to at the moment; "" if something is."""
        self.capture: Capture | None = None
        now = clock.steady()
        self._watch = watch
        self._time = clock
        self._close_capture = close
        self._opening = Opening(source, now, attempt)
        self.account = Account(source.name, pipeline, model_rate, watch.silent_after if source.live else 0.0, clock)
        self._arrivals = Arrivals(1, source.live, now, clock.asleep())
        self._index = 0
        """The sample of the capture that is read next."""

    # What the loop asks.

    def tick(self) -> Tick:
        """Looks after the source and takes at most half a second of its audio."""
        if self.over:
            return Tick([], busy=False)
        now = self._time.steady()
        self.account.follow_wall(now)
        busy = self._open(now) if self.capture is None else self._take(self.capture, now)
        if not self.over:
            self._become(*self._reported())
        return Tick(self._facts(), busy)

    @property
    def over(self) -> bool:
        return self.phase is Phase.OVER

    @property
    def clock(self) -> SampleClock | None:
        """When positions were; None before the first sample."""
        return self.account.timeline.clock

    @property
    def backlog(self) -> float:
        """Seconds of audio that wait in the ring."""
        if self.capture is None or self.phase is not Phase.RECEIVING:
            return 0.0
        return self.capture.ring.unread / self.capture.rate

    @property
    def flowing(self) -> bool:
        """Audio comes, or came until a moment ago."""
        return self.phase is Phase.RECEIVING and not self._arrivals.stalled

    @property
    def progress(self) -> int:
        """Grows while audio is dealt with: decided on, or passed over because it is not to be listened to."""
        return self._index if self.muted or self.account.intake.silent else self.pipeline.progress

    def epoch_now(self) -> float:
        """The time on the clock of events; steps of the system clock do not move it."""
        return self.account.timeline.epoch_at(self._time.steady(), self._time.wall())

    def mute(self, why: str) -> list[Fact]:
        """From now on nothing is listened to, for that reason; "" listens again."""
        if why and not self.muted:
            self.account.interrupt("muted")
        if self.muted and not why:
            self.account.intake.interrupt()
            if self.capture:  # what was recorded meanwhile is not listened to afterwards
                self._index += self.capture.ring.skip(self.capture.ring.unread)
        self.muted = why
        return self._facts()

    def stop(self) -> list[Fact]:
        """Closes the source, takes what it still had, ends its events, and tells what was missed."""
        self._opening.abandon()
        if self.over:
            return []
        now = self._time.steady()
        if capture := self.capture:
            capture.stop()
            self._place(capture, now, ending=True)
            while capture.ring.unread and self._arrivals.placed:
                self._read(capture, capture.rate // 2)
            waited = self.account.timeline.behind(now, self._index, capture.rate)
            if self.source.live and self._arrivals.placed and waited > PAUSE:
                self.account.interrupt("stalled")
        self._finish(now, "stopped")
        return self._facts()

    def _facts(self) -> list[Fact]:
        self.account.settle()
        facts, self.account.facts = self.account.facts, []
        return facts

    # Opening.

    def _open(self, now: float) -> bool:
        try:
            capture = self._opening.step(now)
        except AsitEdgeError as error:
            self._failed(now, error)
            return True
        if capture is None:
            return False
        self.capture, self.phase = capture, Phase.AWAITING
        self._index = 0
        self._arrivals = Arrivals(capture.rate, self.source.live, self._time.steady(), self._time.asleep())
        self.account.intake.begin(capture.rate)
        return True

    def _failed(self, now: float, error: AsitEdgeError) -> None:
        """The source could not be opened, or broke off."""
        if self.source.longest_pause is None:
            self.broken = str(error)
            self._finish(now, "failed", self.broken)
        else:
            self._opening.failed(error, now)

    # Taking audio.

    def _take(self, capture: Capture, now: float) -> bool:
        ended = capture.ended  # asked before reading, so that the last samples are not missed
        written = capture.ring.last[0]
        self._arrivals.note(capture.ring.last, self._time.asleep())
        self._place(capture, now, ending=ended is not None)
        if self.phase is Phase.RECEIVING and self._took_something(capture, now, ending=ended is not None):
            return True
        if ended is not None and (capture.ring.unread == 0 or not written):
            self._lose(now, ended)
            return True
        if ended is None and self.source.live:
            self._watch_arrivals(capture, now)
        return False

    def _place(self, capture: Capture, now: float, *, ending: bool) -> None:
        """Decides when the capture's first sample was heard, as soon as that can be told."""
        begin = self._arrivals.place(capture.ring.last, now, ending=ending)
        if self._arrivals.come and self.phase is Phase.AWAITING:
            self.phase = Phase.SETTLING
        if begin is not None:
            self.phase = Phase.RECEIVING
            self._opening.error = None
            self.account.begin(begin, capture.rate, live=self.source.live, muted=bool(self.muted))

    def _took_something(self, capture: Capture, now: float, *, ending: bool) -> bool:
        if self.pipeline.due > 2:
            return False
        rate, ring, last = capture.rate, capture.ring, capture.ring.last
        verdict = self._arrivals.judge(ring.pause, last, self._index, now, ending=ending)
        if verdict.lost:
            stalled = verdict.judged or self._arrivals.stalled
            self.account.lose(verdict.lost, "stalled" if stalled else "overrun")
            self._arrivals.shift(verdict.lost)
        if verdict.judged:
            self._arrivals.stalled = False
            return True
        if verdict.readable == 0:
            return False
        if self.source.live and verdict.readable is None and not verdict.lost:
            if now - last[1] < AWAKE:
                self.account.timeline.awake(self._time.asleep())
            if self.account.follow_drift(verdict.drifted):
                self._arrivals.shift(verdict.drifted)
        if self.source.live and ring.unread > ring.capacity - MARGIN * rate:
            # The model cannot keep up: rather miss a stretch, and say so, than fall behind for ever.
            self.account.interrupt("overload")
            self._index += ring.skip(ring.unread - ring.capacity // 3)
        if ring.unread < rate // 25 and not ending:
            return False
        return self._read(capture, min(rate // 2, verdict.readable or rate))

    def _read(self, capture: Capture, most: int) -> bool:
        """Takes up to so many samples on their way."""
        read = capture.ring.read(most)
        if read.lost:
            self.account.interrupt("overrun")
            self._index = read.position
        if not len(read.samples):
            return False
        heard = self.account.hear(read.samples, self._index, capture.rate, muted=bool(self.muted))
        if heard and self._index > STEADY_AFTER * capture.rate:
            self._opening.works()
        self._index = read.position + len(read.samples)
        return True

    def _watch_arrivals(self, capture: Capture, now: float) -> None:
        """Ends events when nothing comes, and gives up a device from which nothing comes for long."""
        waiting = self._arrivals.waiting(now, self._time.asleep())
        placed = self._arrivals.placed
        self._arrivals.stalled = waiting > self._watch.stall_after
        if self._arrivals.stalled and placed:
            self._read(capture, capture.rate // 2)
            if not capture.ring.unread:
                self.account.interrupt("stalled")
        if waiting > (self._watch.reopen_after if placed else max(self._watch.reopen_after, FIRST_AUDIO)):
            self._lose(now, f"nothing arrived for {waiting:.0f} s", "stalled")

    def _lose(self, now: float, why: str, cause: str = "lost") -> None:
        """The capture is over; the source may have another one in it."""
        capture, self.capture, self.phase = self.capture, None, Phase.OPENING
        assert capture is not None
        self._close_capture(capture)
        self.account.note = ""
        if why == "" or self.source.longest_pause is None:
            self.broken = why
            self._finish(now, "failed" if why else "stopped", why)
            return
        self.account.interrupt(cause)
        self._failed(now, AsitEdgeError(why))

    def _finish(self, now: float, state: State, detail: str = "") -> None:
        """Nothing more will come of this source."""
        self.account.finish(now)
        self.phase = Phase.OVER
        self._become(state, detail)

    # States.

    def _reported(self) -> tuple[State, str]:
        return reported(
            self.phase,
            self._opening.error,
            begun=self.clock is not None,
            stalled_after=self._watch.stall_after if self._arrivals.stalled else None,
            muted=self.muted,
            silent=self.account.intake.silent,
            notes=(self.burden, self.account.note),
        )

    def _become(self, state: State, detail: str) -> None:
        if (state, detail) != (self.state, self.detail) or self.over:
            self.state, self.detail = state, detail
            self.account.facts.append(Became(state, detail))
