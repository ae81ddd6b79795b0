"""What of a source is heard, and what is said about it."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from asit_edge.assembly import Model, load_model
from asit_edge.config.root import Config
from asit_edge.detect.pipeline import decide
from asit_edge.listen.supervision.account import Account
from asit_edge.listen.supervision.facts import Changed, Missed
from asit_edge.observe.observer import Observer
from tests.conftest import RATE, tones
from tests.detect.test_pipeline import Poisoned
from tests.listen.virtual import VirtualClock


@pytest.fixture(scope="module")
def model(tone_bundle: object) -> Model:
    return load_model(Config.model_validate({"model": tone_bundle}))


def test_a_microphone_with_an_inverted_channel_is_heard_and_that_is_said_once(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock()
    account = Account("hall", model.pipeline(RATE), RATE, 0.0, clock)
    sound = tones((0, 1), (500, 2))
    block = np.stack((sound, -sound), axis=1)
    with caplog.at_level(logging.WARNING, "asit_edge"):
        for _ in range(2):  # the second time, it has been opened anew
            account.begin(clock.steady(), RATE, live=True, muted=False)
            for start in range(0, len(block), RATE // 2):
                assert account.hear(block[start : start + RATE // 2], start, RATE, muted=False)
            account.interrupt("device lost")
    assert len([fact for fact in account.facts if type(fact).__name__ == "Changed"]) >= 1
    [said] = caplog.messages
    assert said.startswith("hall: mixing its 2 channels loses the sound")


NOISE = 1e-3 * np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)


class Heard:
    """One source's account; audio comes in blocks of half a second, and as much time passes."""

    def __init__(self, model: Model, *, silent_after: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.began = self.clock.wall()
        self.account = Account("hall", model.pipeline(RATE), RATE, silent_after, self.clock)
        self.index = 0

    def begin(self, *, muted: bool = False) -> None:
        self.account.begin(self.clock.steady(), RATE, live=True, muted=muted)
        self.account.intake.begin(RATE)
        self.index = 0

    def hear(self, samples: np.ndarray, *, muted: bool = False) -> bool:
        heard = False
        for start in range(0, len(samples), RATE // 2):
            block = samples[start : start + RATE // 2]
            heard = self.account.hear(block[:, None], self.index, RATE, muted=muted)
            self.index += len(block)
            self.clock.advance(len(block) / RATE)
        return heard

    @property
    def until(self) -> float | None:
        """Seconds after the beginning."""
        return None if self.account.heard_until is None else round(self.account.heard_until - self.began, 3)

    @property
    def totals(self) -> tuple[float, float, int]:
        """Heard, lost, gaps."""
        totals = self.account.totals
        return round(totals.heard, 3), round(totals.lost, 3), totals.gaps

    def missed(self) -> list[tuple[str, float, float]]:
        return [
            (fact.cause, round(fact.begin - self.began, 3), round(fact.end - self.began, 3))
            for fact in self.account.facts
            if isinstance(fact, Missed)
        ]

    def changes(self) -> list[str]:
        return [change.kind for fact in self.account.facts if isinstance(fact, Changed) for change in fact.changes]


def test_an_observer_is_told_when_a_block_was_heard_and_not_when_the_model_gets_it(model: Model) -> None:
    class Onlooker(Observer):
        def heard(self, source: str, epoch: float, samples: np.ndarray, rate: int) -> None:
            seen.append((epoch - began, len(samples) / rate))

    seen: list[tuple[float, float]] = []
    clock, rate = VirtualClock(), 8_000
    began = clock.wall()
    account = Account("hall", model.pipeline(rate), RATE, 0.0, clock)  # resampled, which takes a tenth of a second
    account.observer = Onlooker()
    account.begin(clock.steady(), rate, live=True, muted=False)
    for start in range(0, len(NOISE), 160):
        account.hear(NOISE[start : start + 160, None], start, rate, muted=False)
    assert [epoch for epoch, _ in seen] == pytest.approx([number * 0.02 for number in range(len(seen))], abs=0.001)
    assert len(seen) == 1_000


def test_until_when_it_was_heard_is_known_from_the_first_sample_on_and_stays_in_a_gap(model: Model) -> None:
    hall = Heard(model)
    assert hall.until is None
    hall.begin()
    assert hall.until == 0.0
    assert hall.hear(NOISE[: 2 * RATE])
    assert hall.until == 2.0
    hall.account.interrupt("lost")
    hall.clock.advance(3.0)
    assert hall.until == 2.0
    hall.begin()
    hall.hear(NOISE[:RATE])
    assert hall.until == 6.0
    assert hall.missed() == [("lost", 2.0, 5.0)]
    assert hall.totals == (3.0, 3.0, 1)


def test_before_the_first_sample_there_is_nothing_to_interrupt_or_to_end(model: Model) -> None:
    hall = Heard(model)
    hall.account.interrupt("lost")
    hall.account.follow_wall(hall.clock.steady())
    hall.account.finish(hall.clock.steady())
    assert (hall.account.facts, hall.account.timeline.gap) == ([], None)


def test_a_capture_that_begins_ends_the_gap_before_it(model: Model) -> None:
    hall = Heard(model)
    hall.clock.advance(5.0)
    hall.begin()
    assert (hall.missed(), hall.until) == ([("absent", 0.0, 5.0)], 5.0)
    hall.account.lose(2.0, "overrun")
    hall.hear(NOISE[:RATE])
    assert hall.missed()[1:] == [("overrun", 5.0, 7.0)], "what is lost of it has a cause of its own"


def test_a_gap_keeps_its_first_cause_and_ends_what_sounds_where_it_begins(model: Model) -> None:
    hall = Heard(model)
    hall.begin()
    hall.hear(tones((500, 2)))
    hall.account.interrupt("stalled")
    hall.clock.advance(1.0)
    hall.account.interrupt("lost")
    assert hall.changes() == ["new", "end"]
    hall.begin()
    hall.hear(NOISE[:RATE])
    assert hall.missed() == [("stalled", 2.0, 3.0)]


def test_what_is_muted_is_not_heard_but_what_is_wrong_with_it_is_said(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    hall = Heard(model)
    hall.begin(muted=True)
    bad = NOISE[:RATE].copy()
    bad[0] = np.nan
    for _ in range(2):
        assert not hall.hear(bad, muted=True)
    assert (hall.until, hall.totals, hall.account.facts) == (0.0, (0.0, 0.0, 0), [])
    assert caplog.text.count("not numbers") == 1
    assert hall.hear(NOISE[:RATE])
    assert hall.missed() == [("muted", 0.0, 2.0)]
    assert hall.totals == (1.0, 2.0, 1)


def test_digital_silence_does_not_count_as_heard_from_its_first_sample_on(model: Model) -> None:
    hall = Heard(model, silent_after=1.0)
    hall.begin()
    assert hall.hear(NOISE[: 2 * RATE])
    hall.hear(np.zeros(3 * RATE, np.float32))
    assert hall.until == 2.0
    assert not hall.hear(np.zeros(RATE, np.float32)), "nothing of it"
    quarter = np.zeros(RATE // 2, np.float32)
    quarter[RATE // 4 :] = NOISE[: RATE // 4]
    assert hall.hear(quarter), "what comes behind it in the same block is"
    assert hall.missed() == [("digital silence", 2.0, 6.25)]
    assert hall.totals == (2.25, 4.25, 1)


def test_silence_on_both_sides_of_an_interruption_is_not_one_silence(model: Model) -> None:
    hall = Heard(model, silent_after=1.2)
    hall.begin()
    hall.hear(np.zeros(RATE, np.float32))
    hall.account.interrupt("overload")
    hall.hear(np.zeros(RATE, np.float32))
    assert not hall.account.intake.silent
    hall.hear(np.zeros(RATE, np.float32))
    assert hall.account.intake.silent
    assert hall.until == 1.0, "it reaches back to where the audio went on"


def test_audio_that_never_arrived_is_a_gap_before_what_is_read_next(model: Model) -> None:
    hall = Heard(model)
    hall.begin()
    hall.hear(NOISE[:RATE])
    hall.account.lose(2.0, "overrun")
    hall.hear(NOISE[:RATE])
    assert hall.missed() == [("overrun", 1.0, 3.0)]
    assert hall.until == 4.0


def test_a_gap_that_is_rounding_is_not_told(model: Model) -> None:
    hall = Heard(model)
    hall.begin()
    for lost in (0.0049, 0.005):
        hall.hear(NOISE[:RATE])
        hall.account.lose(lost, "overrun")
    hall.hear(NOISE[:RATE])
    assert [cause for cause, _, _ in hall.missed()] == ["overrun"]
    assert hall.totals == (3.0, 0.01, 1), "but counted"


def test_at_the_end_events_end_and_what_was_missed_reaches_until_then(model: Model) -> None:
    hall = Heard(model)
    hall.begin()
    hall.hear(tones((500, 2)))
    hall.account.interrupt("lost")
    hall.clock.advance(7.0)
    hall.account.finish(hall.clock.steady())
    assert (hall.changes(), hall.missed(), hall.totals) == (["new", "end"], [("lost", 2.0, 9.0)], (2.0, 7.0, 1))
    other = Heard(model)
    other.begin()
    other.hear(tones((500, 2)))
    other.clock.advance(7.0)
    other.account.finish(other.clock.steady())
    assert (other.changes(), other.missed(), other.totals) == (["new", "end"], [], (2.0, 0.0, 0))


def test_a_machine_that_has_slept_and_goes_on_has_not_slept_for_the_next_interruption(model: Model) -> None:
    hall = Heard(model)
    hall.begin()
    for cause in ("stalled", "overload"):
        hall.hear(NOISE[:RATE])
        if cause == "stalled":
            hall.clock.sleep(60.0)
        hall.account.interrupt(cause)
        hall.begin()
    hall.hear(NOISE[:RATE])
    assert [cause for cause, _, _ in hall.missed()] == ["suspend"]
    hall.account.lose(1.0, "overrun")
    hall.hear(NOISE[:RATE])
    assert hall.missed()[-1][0] == "overrun"


def test_what_the_model_could_not_score_was_not_heard_and_that_is_said_once(
    model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned = Poisoned(model.classifier)
    poisoned.bad_at = {2, 5, 6, 12}
    hall = Heard(replace(model, classifier=poisoned))
    hall.begin()
    hall.hear(NOISE[:RATE])
    while hall.account._pipeline.due:
        list(decide(poisoned, [hall.account._pipeline]))
        hall.account.settle()
    assert hall.missed() == [("no scores", 0.32, 0.48)]
    hall.hear(NOISE[: RATE + RATE // 100])
    hall.account.interrupt("lost")  # within a chunk: what is missing of it was never heard
    hall.account.settle()
    assert [begin for _, begin, _ in hall.missed()] == [0.32, 0.8, 1.92]
    assert hall.missed()[-1][2] == hall.until == 2.01
    assert hall.totals == (1.44, 0.57, 3)
    assert caplog.text.count("the model gives no numbers") == 1


def test_the_system_clock_is_looked_at_once_a_second(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    hall = Heard(model)
    hall.begin()
    hall.hear(NOISE[:RATE])
    looks = []
    wall = hall.clock.wall
    hall.clock.wall = lambda: looks.append(hall.clock.steady()) or wall()  # type: ignore[method-assign, func-returns-value]
    for now in (200.0, 200.5, 200.9, 201.0, 201.9, 202.5):
        hall.account.follow_wall(now)
    assert len(looks) == 3
    assert (hall.account.note, caplog.messages) == ("", [])
    hall.clock.wall = wall  # type: ignore[method-assign]
    hall.clock.advance(150.0)
    hall.clock.step(-7.0)
    for _ in range(70):
        hall.clock.advance(1.0)
        hall.account.follow_wall(hall.clock.steady())
    assert hall.account.note == "times re-anchored by -7.000 s (the system clock was set)"
    assert caplog.messages == [f"hall: {hall.account.note}"]
    assert hall.until == 1.0 - 7.0


def test_a_device_that_drifts_is_followed_and_that_is_said(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    hall = Heard(model)
    hall.begin()
    hall.hear(NOISE[:RATE])
    with caplog.at_level(logging.INFO, "asit_edge"):
        assert not hall.account.follow_drift(0.01)
        assert caplog.messages == []
        assert hall.account.follow_drift(0.25)
    assert caplog.messages == ["hall: times re-anchored by +0.250 s (its sample rate drifts)"]
    assert hall.until == 1.25
