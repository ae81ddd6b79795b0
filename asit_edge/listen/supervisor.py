"""Watches one source: opens it, takes its audio, notices when it fails in whatever way, opens it again.

Nothing is taken for heard that was not. Whatever interrupts the audio (the device is lost, stalls, delivers digital
silence, the machine slept or could not keep up, somebody muted it) ends what sounds at the last sample that was heard,
and when audio comes again the time between is told as a gap, with its cause and its length by sample counter and steady
clock. Time in the stream is position over rate, gaps included, and the wall clock only anchors it.

All decisions are made in `tick`, in the thread of the listening loop; devices are opened and closed in threads that may
hang without harm.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from asit_edge.audio.clock import Clock, Pace, SampleClock, WallWatch
from asit_edge.audio.level import CLIPPED_SHARE, FULL_SCALE, Flatness, Loudness, Meter
from asit_edge.audio.ring import PAUSE
from asit_edge.audio.samples import Block, Samples, to_mono
from asit_edge.audio.sources.source import Capture, Source
from asit_edge.detect.pipeline import Pipeline
from asit_edge.detect.tracker import Change
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.messages.report import State

log = logging.getLogger(__name__)

SETTLE = 0.5
"""Seconds of arrivals, at the beginning and after a pause, by which to tell when the first sample of them was heard."""

ABSENT = 2.0
"""Seconds that a source may take to begin before they count as missed."""

DRIFT = 0.1
"""Seconds by which a device's samples may run ahead of or behind the steady clock before times are corrected."""

AWAKE = 0.5
"""Seconds within which a block came if the machine has not just slept."""

NEGLIGIBLE = 0.005
"""Seconds; a shorter gap is rounding."""

FIRST_AUDIO = 10.0
"""Seconds that an opened source has at least until its first audio: a stream is connected to and looked into first."""

FIRST_PAUSE = 0.5
"""Seconds before the first attempt to open a source again; doubled up to its longest."""

PATIENCE = 30.0
"""Seconds between attempts where the configuration would have to change first."""

STEADY_AFTER = 5.0
"""Seconds of audio after which a source counts as recovered, so that the next fault is tried again soon."""

MARGIN = 1.5
"""Seconds before the ring is full at which the oldest audio is given up."""


class Attempt:
    """A source being opened in a thread of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._capture: Capture | None = None
        self._error: AsitEdgeError | None = None
        self._abandoned = False
        self._lock = threading.Lock()
        self._done = False
        threading.Thread(target=self._open, name=f"open-{source.name}", daemon=True).start()

    def _open(self) -> None:
        capture = None
        try:
            capture = self._source.open()
        except AsitEdgeError as error:
            self._error = error
        except Exception as error:  # of a library below: the other sources go on, this one is tried again
            self._error = AsitEdgeError(f"source {self._source.name!r}: {type(error).__name__}: {one_line(error)}")
        with self._lock:
            self._capture, self._done = capture, True
            unwanted = capture if self._abandoned else None
        if unwanted:
            unwanted.stop()

    @property
    def done(self) -> bool:
        return self._done

    def result(self) -> Capture:
        """What was opened, once done. Raises what opening it raised."""
        if self._error is not None:
            raise self._error
        assert self._capture is not None
        return self._capture

    def abandon(self) -> None:
        """Nobody wants it any more: if it still comes to be, it is closed."""
        with self._lock:
            self._abandoned = True
            unwanted = self._capture
        if unwanted:
            unwanted.stop()


def close_in_background(capture: Capture) -> None:
    """Closing a device whose driver or server does not answer may take for ever."""
    threading.Thread(target=capture.stop, name="close", daemon=True).start()


@dataclass(frozen=True)
class Watch:
    """How long a source may be without audio (seconds) before something is done about it."""

    stall_after: float = 3.0
    reopen_after: float = 10.0
    silent_after: float = 30.0


class Missed(NamedTuple):
    """Audio that was not heard: positions in the stream, and why."""

    begin: int
    end: int
    cause: str


class Listener(Protocol):
    """Whoever wants to know what becomes of a source."""

    def changed(self, ear: "Ear", changes: list[Change]) -> None: ...

    def missed(self, ear: "Ear", gap: Missed) -> None: ...

    def became(self, ear: "Ear", state: State, detail: str) -> None: ...

    def loud(self, ear: "Ear", loudness: Loudness) -> None: ...


@dataclass
class Totals:
    """What has become of a source's time, in seconds."""

    heard: float = 0.0
    lost: float = 0.0
    gaps: int = 0


class Ear:
    """One source under supervision. `pipeline` must be new; `model_rate` is the rate of its positions in Hz."""

    def __init__(
        self,
        source: Source,
        watch: Watch,
        pipeline: Pipeline,
        model_rate: int,
        listener: Listener,
        clock: Clock,
        attempt: Callable[[Source], Attempt] = Attempt,
        close: Callable[[Capture], None] = close_in_background,
    ) -> None:
        self.source = source
        self.pipeline = pipeline
        self.totals = Totals()
        self.clock: SampleClock | None = None
        """When positions were; None before the first sample."""
        self.broken = ""
        """Why a source that is not opened again broke off."""
        self.over = False
        self.state: State = "starting"
        self.detail = ""
        self.burden = ""
        """What the load of the machine means for this source at the moment, in words."""
        self._watch = watch
        self._rate = model_rate
        self._listener = listener
        self._time = clock
        self._attempt_to = attempt
        self._close_capture = close
        self._attempt: Attempt | None = None
        self._retry_at = self._born = clock.steady()
        self._pause = FIRST_PAUSE
        self._error: AsitEdgeError | None = None
        self._capture: Capture | None = None
        self._origin = 0.0
        self._wall = WallWatch(0.0)
        self._looked_at_wall = 0.0
        self._asleep = clock.asleep()
        self._gap: tuple[int, str] | None = None
        self._muted = ""
        self._note = ""
        self._warned: set[str] = set()
        self._reset_capture()

    def _reset_capture(self) -> None:
        self._index = 0
        self._arrived = self._time.steady()
        self._arrived_awake = self._arrived - self._time.asleep()
        self._first: float | None = None
        self._begin = 0.0
        self._anchored = False
        self._noticed: tuple[int, float] | None = None
        self._handled: tuple[int, float] | None = None
        self._stalled = self._silent = False
        self._flat = Flatness()

    # What the loop asks.

    def tick(self) -> bool:
        """Looks after the source and takes at most half a second of its audio. False if there was nothing to do."""
        if self.over:
            return False
        now = self._time.steady()
        took = self._take(now) if self._capture else self._try_to_open(now)
        if self.clock and now - self._looked_at_wall >= 1.0:
            self._looked_at_wall = now
            self._follow_wall(now)
        self._tell_state(now)
        return took

    @property
    def backlog(self) -> float:
        """Seconds of audio that wait in the ring."""
        return self._capture.ring.unread / self._capture.rate if self._capture and self._anchored else 0.0

    @property
    def capture(self) -> Capture | None:
        return self._capture

    @property
    def flowing(self) -> bool:
        """Audio comes, or came until a moment ago."""
        return self._capture is not None and self._anchored and not self._stalled

    @property
    def progress(self) -> int:
        """Grows while audio is dealt with: decided on, or passed over because it is not to be listened to."""
        return self._index if self._muted or self._silent else self.pipeline.progress

    @property
    def heard_until(self) -> float | None:
        """When the last sample was heard that counts as heard, in epoch seconds; None before the first."""
        if self.clock is None:
            return None
        return self.clock.epoch(self.pipeline.position if self._gap is None else self._gap[0])

    def epoch_now(self) -> float:
        """The time on the clock that events are told by; steps of the system clock do not move it."""
        if self.clock is None:
            return self._time.wall()
        return self.clock.anchor + self._time.steady() - self._origin

    def mute(self, why: str) -> None:
        """From now on nothing is listened to, for that reason; "" listens again."""
        if why and not self._muted and self.clock:
            self._interrupt("muted")
        if self._muted and not why:
            self._flat.reset()
            if self._capture:  # what was recorded meanwhile is not listened to afterwards
                self._index += self._capture.ring.skip(self._capture.ring.unread)
        self._muted = why

    @property
    def muted(self) -> str:
        return self._muted

    def stop(self) -> None:
        """Closes the source, takes what it still had, ends everything that sounds, and tells what was missed."""
        if self._attempt:
            self._attempt.abandon()
        capture = self._capture
        now = self._time.steady()
        if capture and not self.over:
            capture.stop()
            self._anchor_if_due(capture, now, ending=True)
            while capture.ring.unread and self._anchored:
                self._read(capture, capture.rate // 2)
            waited = now - self._begin - self._index / capture.rate
            if self.source.live and self._anchored and waited > PAUSE:
                self._interrupt("stalled")
        if not self.over:
            self._finish(now, "stopped")

    # Opening.

    def _try_to_open(self, now: float) -> bool:
        if self._attempt is None:
            if now < self._retry_at:
                return False
            self._attempt = self._attempt_to(self.source)
        if not self._attempt.done:
            return False
        attempt, self._attempt = self._attempt, None
        try:
            self._capture = attempt.result()
        except AsitEdgeError as error:
            self._failed(now, error)
            return True
        self._reset_capture()
        self._pace = Pace(self._capture.rate)
        self._meter = Meter(self._capture.rate)
        return True

    def _failed(self, now: float, error: AsitEdgeError) -> None:
        """The source could not be opened, or broke off: when it is tried again."""
        longest = self.source.longest_pause
        if longest is None:
            self.broken = str(error)
            self._finish(now, "failed", self.broken)
            return
        self._error = error
        if isinstance(error, WrongUse):
            self._retry_at = now + PATIENCE
            return
        self._retry_at = now + self._pause * random.uniform(0.75, 1.0)
        self._pause = min(2 * self._pause, longest)

    # Taking audio.

    def _take(self, now: float) -> bool:
        capture = self._capture
        assert capture is not None
        ended = capture.ended  # asked before reading, so that the last samples are not missed
        written, at = capture.ring.last
        if written:
            if at != self._arrived:
                self._arrived, self._arrived_awake = at, at - self._time.asleep()
            if self.source.live:
                self._pace.arrive(written, at)
        self._anchor_if_due(capture, now, ending=ended is not None)
        if self._anchored and self._took_something(capture, now, ending=ended is not None):
            return True
        if ended is not None and (capture.ring.unread == 0 or not written):
            self._lose(now, ended)
            return True
        if ended is None and self.source.live:
            self._watch_arrivals(now)
        return False

    def _anchor_if_due(self, capture: Capture, now: float, *, ending: bool) -> None:
        """Decides when the capture's first sample was heard, as soon as that can be told."""
        written, at = capture.ring.last
        if self._anchored or not written:
            return
        if not self.source.live:
            begin = at - written / capture.rate
        else:
            self._first = at if self._first is None else self._first
            if not ending and now - self._first < SETTLE:
                return
            self._pace.arrive(written, at)
            self._pace.anchor()
            assert self._pace.begin is not None
            begin = self._pace.begin
        self._anchored = True
        self._error = None
        self._begin = begin
        if self.clock is None:
            late = self.source.live and begin - self._born > ABSENT
            self._origin = self._born if late else begin
            offset = self._time.wall() - self._time.steady()
            self._wall = WallWatch(offset)
            self.clock = SampleClock(self._origin + offset, self._rate)
            self._gap = (0, "muted" if self._muted else "absent")
        if not self._muted:
            self._resume(0)

    def _took_something(self, capture: Capture, now: float, *, ending: bool) -> bool:
        if self.pipeline.due > 2:
            return False
        rate, ring = capture.rate, capture.ring
        most = rate // 2
        pause = ring.pause if self.source.live else None
        if pause is not None and pause != self._handled:
            # Up to the pause, audio belongs to what was before. What came after it waits until it has shown whether
            # the device had kept it for us, or lost some.
            if pause != self._noticed:
                self._noticed = pause
                self._pace.restart()
                self._pace.arrive(*ring.last)
            most = min(most, pause[0] - self._index)
            if most <= 0:
                if not ending and now - pause[1] < SETTLE:
                    return False
                self._handled = pause
                self._judge_pause(pause[0])
                return True
        elif self.source.live:
            lost, drifted = self._pace.windowed(ring.last[1])
            if lost:
                self._account_for(lost, "stalled" if self._stalled else "overrun")
            else:
                if now - ring.last[1] < AWAKE:
                    self._asleep = self._time.asleep()
                self._follow_drift(drifted)
        if self.source.live and ring.unread > ring.capacity - MARGIN * rate:
            self._give_up_oldest(capture)
        if ring.unread < rate // 25 and not ending:
            return False
        return self._read(capture, most)

    def _read(self, capture: Capture, most: int) -> bool:
        """Takes up to so many samples on their way."""
        read = capture.ring.read(most)
        if read.lost:
            self._interrupt("overrun")
            self._index = read.position
        if not len(read.samples):
            return False
        samples = to_mono(self._checked(read.samples), None)
        self._hear(samples)
        self._index = read.position + len(samples)
        return True

    def _hear(self, samples: Samples) -> None:
        """Samples from `_index` on."""
        assert self._capture is not None
        if self._muted:
            return
        for loudness in self._meter.push(samples):
            self._listener.loud(self, loudness)
        index = self._index
        limit = self._watch.silent_after * self._capture.rate if self.source.live else 0
        if limit:
            kept = self._flat.push(samples)
            if self._silent:
                samples = samples[kept:]
                if not len(samples):
                    return
                index += kept
                self._silent = False
        if self._gap is not None:
            self._resume(index)
        self.totals.heard += len(samples) / self._capture.rate
        self.pipeline.take(samples)
        if index > STEADY_AFTER * self._capture.rate:
            self._pause = FIRST_PAUSE
        if limit and self._flat.run >= limit:
            back = self._flat.run / self._capture.rate
            self._interrupt("digital silence", back)
            self.totals.heard -= back
            self._silent = True

    def _checked(self, block: Block) -> Block:
        if not np.isfinite(block).all():
            self._warn("delivers samples that are not numbers; they are taken as silence")
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        if float((np.abs(block) >= FULL_SCALE).mean()) > CLIPPED_SHARE:
            self._warn("is clipped (over 1 % of its samples are at full scale); lower its gain")
        return block

    def _warn(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            log.warning("%s: the audio %s", self.source.name, problem)

    # Interruptions.

    def _interrupt(self, cause: str, back: float = 0.0) -> None:
        """What comes next does not follow on; the last `back` seconds do not count as heard either."""
        if self._gap is not None or self.clock is None:
            return
        if self._time.asleep() - self._asleep > 1.0:
            cause = "suspend"
        if not back:
            self._flat.reset()
        self._tell(self.pipeline.gap())
        self._gap = (self.pipeline.position - round(back * self._rate), cause)

    def _resume(self, index: int) -> None:
        """Audio goes on with sample `index` of the capture: the time until then was missed."""
        assert self._capture is not None
        heard_again = self._begin + index / self._capture.rate
        self.pipeline.resume(round((heard_again - self._origin) * self._rate), self._capture.rate)
        self._close_gap()
        self._asleep = self._time.asleep()

    def _close_gap(self) -> None:
        if self._gap is None:
            return
        (begin, cause), self._gap = self._gap, None
        seconds = (self.pipeline.position - begin) / self._rate
        self.totals.lost += max(seconds, 0.0)
        if seconds >= NEGLIGIBLE:
            self.totals.gaps += 1
            self._listener.missed(self, Missed(begin, self.pipeline.position, cause))

    def _account_for(self, lost: float, cause: str) -> None:
        """So many seconds of audio never arrived, before the sample that is read next."""
        self._interrupt(cause)
        self._pace.shift(lost)
        self._begin += lost

    def _judge_pause(self, position: int) -> None:
        """Whether audio was lost in a pause that ended with this sample."""
        lost = self._pace.settle()
        if lost:
            self._account_for(lost, "stalled")
        self._stalled = False

    def _give_up_oldest(self, capture: Capture) -> None:
        """The model cannot keep up: rather miss a stretch, and say so, than fall behind for ever."""
        self._interrupt("overload")
        self._index += capture.ring.skip(capture.ring.unread - capture.ring.capacity // 3)

    def _watch_arrivals(self, now: float) -> None:
        """Ends what sounds when nothing comes, and gives up a device from which nothing comes for long."""
        waiting = now - self._time.asleep() - self._arrived_awake  # while the machine slept nobody waited
        self._stalled = waiting > self._watch.stall_after
        if self._stalled and self._anchored and self._capture is not None:
            self._read(self._capture, self._capture.rate // 2)
            if not self._capture.ring.unread:
                self._interrupt("stalled")
        if waiting > (self._watch.reopen_after if self._anchored else max(self._watch.reopen_after, FIRST_AUDIO)):
            self._lose(now, f"nothing arrived for {waiting:.0f} s", "stalled")

    def _lose(self, now: float, why: str, cause: str = "lost") -> None:
        """The capture is over; the source may have another one in it."""
        capture, self._capture = self._capture, None
        assert capture is not None
        self._close_capture(capture)
        self._note = ""
        if why == "" or self.source.longest_pause is None:
            self.broken = why
            self._finish(now, "failed" if why else "stopped", why)
            return
        self._interrupt(cause)
        self._failed(now, AsitEdgeError(why))

    def _finish(self, now: float, state: State, detail: str = "") -> None:
        """Nothing more will come of this source: ends what sounds, tells what was missed until now."""
        if self.clock is not None:
            if self._gap is not None:
                self.pipeline.resume(round((now - self._origin) * self._rate), self._rate)
                self._close_gap()
            self._tell(self.pipeline.finish())
        self.over = True
        self._become(state, detail)

    def _tell(self, changes: list[Change]) -> None:
        if changes:
            self._listener.changed(self, changes)

    # Clocks.

    def _follow_drift(self, drifted: float) -> None:
        """The device's second is not quite the machine's."""
        if abs(drifted) < DRIFT or self._gap is not None or not self.pipeline.tracker.quiet:
            return
        assert self.clock is not None
        self._pace.shift(drifted)
        self._begin += drifted
        self._origin += drifted
        self.clock.anchor += drifted
        log.info("%s: times re-anchored by %+.3f s (its sample rate drifts)", self.source.name, drifted)

    def _follow_wall(self, now: float) -> None:
        """Somebody set the system clock. What sounds keeps its times."""
        off = self._wall.step(now, self._time.wall())
        if not off or self._gap is not None or not self.pipeline.tracker.quiet:
            return
        assert self.clock is not None
        self._wall.offset += off
        self.clock.anchor += off
        self._note = f"times re-anchored by {off:+.3f} s (the system clock was set)"
        log.warning("%s: %s", self.source.name, self._note)

    # States.

    def _tell_state(self, now: float) -> None:
        if not self.over:
            self._become(*self._current(now))

    def _current(self, now: float) -> tuple[State, str]:
        troubled = self.clock is not None or self._error is not None
        why = str(self._error) if self._error else ""
        if self._capture is None:
            if isinstance(self._error, WrongUse):
                return "failed", why
            return ("lost", why) if troubled else ("starting", "")
        if self._stalled:
            return "stalled", f"no audio for more than {self._watch.stall_after:g} s"
        if self._first is None and not self._anchored:
            return ("recovering", why) if troubled else ("starting", "")
        if self._muted:
            return "muted", self._muted
        if self._silent:
            return "silent_device", "every sample is the same; is it switched off, or muted in the system?"
        return "listening", "; ".join(filter(None, (self.burden, self._note)))

    def _become(self, state: State, detail: str) -> None:
        if (state, detail) == (self.state, self.detail) and not self.over:
            return
        self.state, self.detail = state, detail
        self._listener.became(self, state, detail)
