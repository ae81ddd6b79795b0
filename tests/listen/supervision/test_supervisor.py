"""One source under supervision: opened, read, lost, muted, ended; the test writes its audio and turns its clock."""

import numpy as np
import pytest

from asit_edge.assembly import Model, load_model
from asit_edge.audio.sources.source import Capture
from asit_edge.config.root import Config
from asit_edge.detect.pipeline import decide
from asit_edge.errors import AsitEdgeError
from asit_edge.listen.supervision.facts import Became, Missed
from asit_edge.listen.supervision.states import Phase
from asit_edge.listen.supervision.supervisor import SourceSupervisor, Watch
from tests.conftest import RATE, tones
from tests.listen.test_loop import FedCapture, HandFed
from tests.listen.virtual import Instantly, VirtualClock

BLOCK = RATE // 25
NOISE = 1e-3 * np.random.default_rng(0).standard_normal(40 * RATE).astype(np.float32)


@pytest.fixture(scope="module")
def model(tone_bundle: object) -> Model:
    return load_model(Config.model_validate({"model": tone_bundle}))


class Watched:
    """A source, its supervisor, and what that has told."""

    def __init__(
        self, model: Model, *, live: bool = True, longest_pause: float | None = 2.0, watch: Watch | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.wall()
        self.source = HandFed("mic")
        self.source.live, self.source.longest_pause = live, longest_pause
        self.closed: list[Capture] = []
        self.model = model
        self.supervisor = SourceSupervisor(
            self.source,
            watch or Watch(),
            model.pipeline(RATE),
            RATE,
            self.clock,
            Instantly,  # type: ignore[arg-type]
            self.closed.append,
        )
        self.missed: list[tuple[str, float, float]] = []
        self.became: list[tuple[str, str]] = []

    @property
    def capture(self) -> FedCapture:
        assert self.source.capture is not None
        return self.source.capture

    def tick(self) -> bool:
        found = self.supervisor.tick()
        self.note(found.facts)
        while self.supervisor.pipeline.due:
            list(decide(self.model.classifier, [self.supervisor.pipeline]))
        return found.busy

    def note(self, facts: object) -> None:
        assert isinstance(facts, list)
        for fact in facts:
            if isinstance(fact, Missed):
                self.missed.append((fact.cause, round(fact.begin - self.began, 2), round(fact.end - self.began, 2)))
            if isinstance(fact, Became):
                self.became.append((fact.state, fact.detail))

    def settle(self) -> None:
        while self.tick():
            pass

    def record(self, samples: np.ndarray) -> None:
        """Audio comes, in blocks of 40 ms, and nobody looks."""
        for start in range(0, len(samples), BLOCK):
            self.clock.advance(BLOCK / RATE)
            self.capture.ring.write(samples[start : start + BLOCK, None], self.clock.steady())

    def play(self, seconds: float, sound: np.ndarray = NOISE) -> None:
        for start in range(0, round(seconds * RATE), BLOCK):
            self.record(sound[start : start + BLOCK])
            self.settle()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
            self.settle()

    def stop(self) -> None:
        self.note(self.supervisor.stop())

    @property
    def heard(self) -> float:
        return round(self.supervisor.account.totals.heard, 2)


def test_on_its_way_to_be_heard(model: Model) -> None:
    mic = Watched(model)
    supervisor = mic.supervisor
    mic.source.there = False
    mic.settle()
    assert (supervisor.phase, supervisor.flowing, supervisor.backlog, supervisor.clock) == (
        Phase.OPENING,
        False,
        0,
        None,
    )
    assert supervisor.epoch_now() == mic.clock.wall()
    mic.source.there = True
    mic.wait(1.0)
    assert supervisor.phase is Phase.AWAITING
    mic.record(NOISE[: RATE // 10])
    mic.settle()
    assert (supervisor.phase, supervisor.flowing, supervisor.backlog) == (Phase.SETTLING, False, 0)
    mic.play(0.56)
    assert (supervisor.phase, supervisor.flowing, supervisor.backlog) == (Phase.RECEIVING, True, 0)
    assert mic.heard == 0.66
    mic.record(NOISE[:RATE])
    assert supervisor.backlog == 1.0
    assert [state for state, _ in mic.became] == ["lost", "recovering", "listening"]
    mic.clock.step(3600)
    assert supervisor.epoch_now() == pytest.approx(mic.clock.wall() - 3600, abs=1e-6)


def test_a_tick_takes_at_most_half_a_second_and_not_much_less_than_a_decision_needs(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[: RATE * 5 // 4])
    for left in (0.75, 0.25, 0.0):
        assert mic.tick()
        assert mic.supervisor.backlog == left
    assert not mic.tick()
    mic.record(NOISE[: RATE // 50])
    assert not mic.tick()
    assert mic.supervisor.backlog == 0.02, "hardly worth it"
    mic.record(NOISE[: RATE // 50])
    assert mic.tick()
    assert mic.supervisor.backlog == 0.0


def test_nothing_is_read_while_more_than_two_decisions_are_due(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[:RATE])
    mic.supervisor.tick()
    assert mic.supervisor.pipeline.due == 3
    assert not mic.supervisor.tick().busy
    assert mic.supervisor.backlog == 0.5
    list(decide(model.classifier, [mic.supervisor.pipeline]))
    assert mic.supervisor.tick().busy
    assert mic.supervisor.backlog == 0.0


def test_of_a_ring_that_is_nearly_full_the_newest_third_is_kept(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[: RATE * 57 // 2])
    mic.settle()
    assert (mic.missed, mic.heard) == ([], 29.5)
    mic.record(NOISE[: RATE * 143 // 5])
    assert mic.tick()
    assert mic.supervisor.backlog == 9.5
    mic.settle()
    mic.play(1.0)
    assert mic.missed == [("overload", 29.5, 48.1)]
    assert mic.heard == 40.5


def test_what_was_overwritten_is_a_gap(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE)  # ten seconds more than there is room for
    mic.stop()
    assert (mic.missed, mic.heard) == ([("overrun", 1.0, 11.0)], 31.0)


def test_a_source_that_broke_off_is_heard_to_its_last_sample(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.supervisor.account.note = "times re-anchored"
    mic.record(NOISE[: RATE * 5 // 4 - 100])
    first, mic.capture.ended, mic.source.there = mic.capture, "unplugged", False
    mic.settle()
    assert mic.heard == 2.24
    assert mic.closed == [first]
    assert mic.became[-1] == ("lost", "unplugged")
    assert mic.supervisor.account.note == "", "of another capture's clock"
    mic.wait(1.0)
    assert mic.became[-1] == ("lost", "no input device"), "the newest reason"
    mic.source.there = True
    mic.wait(1.5)
    mic.play(1.0)
    assert [cause for cause, _, _ in mic.missed] == ["lost"]
    assert mic.became[-2:] == [("recovering", "no input device"), ("listening", "")]


def test_a_source_that_brought_nothing_is_lost_as_soon_as_it_broke_off(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.capture.ended = "unplugged"
    mic.source.there = False
    mic.settle()
    assert mic.became[-1] == ("lost", "unplugged")
    assert mic.closed == [mic.capture]
    assert mic.missed == []


def test_pauses_between_attempts_grow_until_it_has_worked_for_a_while(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.backoff.random.uniform", lambda _low, high: high)
    mic = Watched(model)
    mic.settle()
    pauses = []
    for heard in (1.0, 1.0, 5.0, 5.6, 1.0):
        mic.play(heard)
        mic.capture.ended = "unplugged"
        opened, since = mic.source.opened, mic.clock.steady()
        mic.settle()
        while mic.source.opened == opened:
            mic.clock.advance(0.05)
            mic.settle()
        pauses.append(round(mic.clock.steady() - since, 1))
    assert pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_what_is_not_opened_again_is_over_when_it_ends_and_failed_when_it_breaks_off(model: Model) -> None:
    for why, state in (("", "stopped"), ("cannot be decoded", "failed")):
        file = Watched(model, live=False, longest_pause=None)
        file.settle()
        file.record(NOISE[: RATE * 3 // 2 + 100])
        file.capture.ended = why
        file.settle()
        assert file.heard == 1.51
        assert (file.supervisor.over, file.supervisor.broken, file.became[-1]) == (True, why, (state, why))
        assert file.closed == [file.capture]
        assert file.missed == []
        told = len(file.became)
        file.wait(1.0)
        file.stop()
        assert (len(file.became), file.source.opened) == (told, 1), "nothing more is said"
    absent = Watched(model, live=False, longest_pause=None)
    absent.source.there = False
    absent.settle()
    assert absent.became == [("failed", "no input device")]
    assert absent.supervisor.broken == "no input device"


def test_what_ends_of_itself_is_over_though_it_might_be_opened_again(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.capture.ended = ""
    mic.settle()
    assert mic.became[-1] == ("stopped", "")
    assert mic.source.opened == 1


def test_an_opened_source_has_ten_seconds_for_its_first_audio_and_then_as_configured(model: Model) -> None:
    mic = Watched(model, watch=Watch(stall_after=1.0, reopen_after=5.0))
    mic.settle()
    mic.wait(10.0)
    assert mic.source.opened == 1
    mic.wait(1.0)
    assert mic.source.opened == 2
    assert ("lost", "nothing arrived for 10 s") in mic.became
    mic.play(1.0)
    mic.wait(4.9)
    assert (mic.source.opened, mic.became[-1]) == (2, ("stalled", "no audio for more than 1 s"))
    mic.wait(1.5)
    assert mic.source.opened == 3
    assert len(mic.closed) == 2
    mic.play(1.0)
    assert [(cause, round(end - begin)) for cause, begin, end in mic.missed] == [("absent", 11), ("stalled", 6)]
    patient = Watched(model, watch=Watch(reopen_after=30.0))
    patient.settle()
    patient.wait(29.9)
    assert patient.source.opened == 1
    patient.wait(2.0)
    assert patient.source.opened == 2


def test_a_stall_ends_what_sounds_behind_its_last_sample(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[: RATE // 50])
    mic.wait(2.9)
    assert mic.supervisor.flowing
    assert mic.heard == 1.0
    mic.wait(0.3)
    assert not mic.supervisor.flowing
    assert mic.heard == 1.02, "of which little was left to read"
    assert mic.supervisor.account.timeline.gap is not None


def test_a_machine_that_has_slept_counts_as_awake_when_audio_comes_again(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(2.0)
    mic.clock.sleep(600.0)
    mic.play(2.0)
    assert [cause for cause, _, _ in mic.missed] == ["suspend"]
    mic.capture.ended = "unplugged"
    mic.settle()
    mic.wait(1.0)
    mic.play(2.0)
    assert [cause for cause, _, _ in mic.missed] == ["suspend", "lost"]


def test_muting_is_a_gap_and_what_was_recorded_meanwhile_is_not_heard_afterwards(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(2.0)
    mic.note(mic.supervisor.mute("by hand"))
    mic.note(mic.supervisor.mute("quiet hours"))
    progress = mic.supervisor.progress
    mic.play(1.0)
    assert mic.supervisor.progress > progress, "it is not taken for a listener that hangs"
    assert mic.became[-1] == ("muted", "quiet hours")
    mic.record(tones((500, 2)))
    mic.note(mic.supervisor.mute(""))
    assert mic.supervisor.backlog == 0.0
    mic.note(mic.supervisor.mute(""))
    mic.play(1.0)
    assert mic.missed == [("muted", 2.0, 5.0)]
    assert mic.heard == 3.0
    assert mic.became[-1] == ("listening", "")


def test_a_source_can_be_muted_before_it_is_there(model: Model) -> None:
    mic = Watched(model)
    mic.source.there = False
    mic.settle()
    for why in ("by hand", "", "by hand"):
        mic.note(mic.supervisor.mute(why))
    mic.source.there = True
    mic.wait(1.0)
    mic.play(2.0)
    assert (mic.heard, mic.became[-1]) == (0.0, ("muted", "by hand"))
    mic.supervisor.mute("")
    mic.play(1.0)
    assert [cause for cause, _, _ in mic.missed] == ["muted"]


def test_silence_before_and_after_a_mute_is_not_one_silence(model: Model) -> None:
    mic = Watched(model, watch=Watch(silent_after=3.0))
    silence = np.zeros(10 * RATE, np.float32)
    mic.settle()
    mic.play(2.0, silence)
    mic.supervisor.mute("by hand")
    mic.supervisor.mute("")
    mic.play(2.0, silence)
    assert mic.became[-1] == ("listening", "")
    progress = mic.supervisor.progress
    mic.play(2.0, silence)
    assert mic.became[-1][0] == "silent_device"
    assert mic.supervisor.progress > progress


def test_what_burdens_it_and_its_clock_are_said_while_it_listens(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    told = len(mic.became)
    mic.supervisor.burden, mic.supervisor.account.note = "deciding less often", "times re-anchored"
    mic.play(0.1)
    assert mic.became[told:] == [("listening", "deciding less often; times re-anchored")]


def test_the_end_takes_what_is_there_and_tells_of_a_stall(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[: RATE * 7 // 4])
    mic.stop()
    assert (mic.heard, mic.missed, mic.became[-1]) == (2.75, [], ("stopped", ""))
    assert mic.capture.stopped
    assert not mic.supervisor.tick().busy
    assert mic.supervisor.stop() == []
    for stalled, missed in ((0.9, []), (2.0, [("stalled", 1.0, 3.0)])):
        mic = Watched(model)
        mic.settle()
        mic.play(1.0)
        mic.clock.advance(stalled)
        mic.stop()
        assert (mic.heard, mic.missed) == (1.0, missed)


def test_the_end_takes_the_first_samples_of_a_source_too(model: Model) -> None:
    for live in (True, False):
        mic = Watched(model, live=live)
        mic.settle()
        mic.record(NOISE[: RATE // 10])
        mic.stop()
        assert (mic.heard, mic.missed) == (0.1, [])
    never = Watched(model)
    never.settle()
    never.wait(5.0)
    never.stop()
    assert (never.heard, never.missed, never.became[-1]) == (0.0, [], ("stopped", ""))


def test_a_file_may_pause_and_be_silent_for_as_long_as_it_likes(model: Model) -> None:
    file = Watched(model, live=False, watch=Watch(silent_after=0.5))
    file.settle()
    file.record(NOISE[:RATE])
    file.settle()
    file.wait(60.0)
    file.record(np.zeros(5 * RATE, np.float32))
    file.settle()
    file.stop()
    assert (file.heard, file.missed, file.source.opened) == (6.0, [], 1)


def test_an_error_that_comes_while_it_is_opened_is_told_and_tried_again(model: Model) -> None:
    mic = Watched(model)
    mic.source.there, mic.source.error = False, AsitEdgeError("it is in use")
    assert mic.tick(), "there may be more to do"
    assert mic.became == [("lost", "it is in use")]
    assert not mic.tick()
    assert len(mic.became) == 1


def test_what_comes_after_a_pause_waits_until_the_pause_has_been_judged(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.wait(2.0)
    mic.play(0.2)
    assert mic.heard == 1.0
    mic.play(0.4)
    assert mic.heard == 1.6
    mic.stop()
    assert [(cause, round(end - begin, 1)) for cause, begin, end in mic.missed] == [("stalled", 2.0)]


def test_a_stall_is_no_gap_while_audio_of_before_is_left(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.record(NOISE[: 3 * RATE])
    while mic.supervisor.tick().busy:  # and nobody decides
        pass
    mic.clock.advance(4.0)
    mic.supervisor.tick()
    assert mic.supervisor.backlog > 1.0
    assert mic.supervisor.account.timeline.gap is None
    mic.wait(1.0)
    assert mic.supervisor.account.timeline.gap is not None
    assert mic.heard == 4.0


def test_a_short_sleep_is_the_cause_of_what_follows_from_it(model: Model) -> None:
    mic = Watched(model)
    mic.settle()
    mic.play(1.0)
    mic.clock.sleep(1.2)
    mic.settle()
    mic.capture.ended = "unplugged"
    mic.settle()
    mic.wait(1.0)
    mic.play(1.0)
    assert [cause for cause, _, _ in mic.missed] == ["suspend"]
