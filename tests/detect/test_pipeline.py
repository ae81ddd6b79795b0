"""The pipeline: the same events whatever the blocks, the source's rate or the gaps in between."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.assembly import Model, load_model
from asit_edge.audio.level import rms_of
from asit_edge.audio.samples import to_mono
from asit_edge.config.root import Config
from asit_edge.detect.chunker import Chunker
from asit_edge.detect.pipeline import SilenceGate, decide
from asit_edge.detect.tracker import Change, Kind
from asit_edge.model.classifier import Classifier
from tests.conftest import RATE, tones


@pytest.fixture(scope="module")
def model(tone_bundle) -> Model:  # type: ignore[no-untyped-def]
    return load_model(Config(model=tone_bundle))


SOUNDS = tones((0, 1), (500, 1), (0, 2), (3000, 1.5), (0, 2.5), (500, 0.5), (0, 1.5))


def heard(model: Model, blocks: list[np.ndarray], rate: int = RATE) -> list[Change]:
    pipeline = model.pipeline(rate)
    return [change for block in blocks for change in pipeline.push(block)] + pipeline.finish()


def spans(changes: list[Change]) -> list[tuple[int, float, float]]:
    """Label, onset and offset in seconds."""
    ends = [change for change in changes if change.kind is Kind.END]
    return [(change.label, change.onset / RATE, (change.offset or 0) / RATE) for change in ends]


def test_hears_what_is_there(model: Model) -> None:
    found = spans(heard(model, [SOUNDS]))
    assert [label for label, _, _ in found] == [0, 1, 0]
    for (_, onset, offset), (true_onset, true_offset) in zip(found, [(1, 2), (4, 5.5), (8, 8.5)], strict=True):
        assert onset == pytest.approx(true_onset, abs=0.17)
        assert offset == pytest.approx(true_offset, abs=0.33)


@given(st.lists(st.integers(1, 30_000), max_size=20))
def test_blocks_do_not_matter(model: Model, sizes: list[int]) -> None:
    assert heard(model, np.split(SOUNDS, np.cumsum(sizes))) == heard(model, [SOUNDS])


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_any_rate_is_resampled(model: Model, rate: int) -> None:
    resampled = soxr.resample(SOUNDS, RATE, rate).astype(np.float32)
    found = spans(heard(model, np.array_split(resampled, 37), rate))
    assert [label for label, _, _ in found] == [0, 1, 0]
    assert found[1][1] == pytest.approx(4, abs=0.17)


def test_a_gap_ends_what_sounds_and_time_goes_on(model: Model) -> None:
    pipeline = model.pipeline(48_000)
    tone = soxr.resample(tones((500, 1.0)), RATE, 48_000).astype(np.float32)
    changes = pipeline.push(tone) + pipeline.gap()
    pipeline.resume(4 * RATE, RATE)  # the device came back at another rate
    assert pipeline.position == 4 * RATE
    changes += pipeline.push(tones((500, 1.0))) + pipeline.finish()
    found = spans(changes)
    assert [round(value, 1) for _, onset, offset in found for value in (onset, offset)] == [0.0, 1.0, 4.0, 5.0]


def test_streams_in_one_batch_hear_what_they_hear_alone(model: Model) -> None:
    sounds = [SOUNDS, tones((0, 3), (3000, 1), (0, 2)), tones((500, 12))]
    pipelines = [model.pipeline(RATE) for _ in sounds]
    found: dict[int, list[Change]] = {id(pipeline): [] for pipeline in pipelines}
    for pipeline, sound in zip(pipelines, sounds, strict=True):
        pipeline.take(sound)
    while any(pipeline.due for pipeline in pipelines):
        for pipeline, changes in decide(model.classifier, pipelines):
            found[id(pipeline)] += changes
    for pipeline, sound in zip(pipelines, sounds, strict=True):
        assert spans(found[id(pipeline)] + pipeline.finish()) == spans(heard(model, [sound]))


def test_deciding_less_often_covers_all_audio(model: Model) -> None:
    pipeline = model.pipeline(RATE)
    pipeline.take(tones((0, 3), (500, 2), (0, 3)))
    changes: list[Change] = []
    while pipeline.due:
        for _, some in decide(model.classifier, [pipeline], every=100):
            changes += some
    assert pipeline.skimmed // 3 == pipeline.decided, "windows hold four chunks: three in a row may be skimmed"
    changes += pipeline.finish()
    [(label, onset, offset)] = spans(changes)
    assert label == 0
    assert onset == pytest.approx(3, abs=0.65)
    assert offset == pytest.approx(5, abs=0.65)


def test_the_gate_closes_when_it_has_been_quiet_and_opens_at_once(model: Model) -> None:
    sound = tones((0, 10), (500, 1), (0, 10))
    gated = replace(model, gate=SilenceGate(rms_of(-60), 2 * RATE)).pipeline(RATE)
    assert spans(gated.push(sound) + gated.finish()) == spans(heard(model, [sound]))
    assert gated.gated > 80
    assert gated.decided < 50


def test_the_level_of_a_chunk_does_not_depend_on_blocks(model: Model) -> None:
    def levels(blocks: list[np.ndarray]) -> list[float]:
        chunker = Chunker(model.manifest.front_end, 16, 44_100)
        return [chunk.rms for block in blocks for chunk in chunker.push(block)]

    assert levels(np.array_split(SOUNDS, 91)) == levels([SOUNDS])


def test_a_sound_in_the_last_moment_is_heard(model: Model) -> None:
    found = spans(heard(model, [tones((0, 1.0), (500, 0.15))]))
    assert len(found) == 1
    assert found[0][2] <= 1.15 + 1e-9


def test_no_audio_no_decision(model: Model) -> None:
    pipeline = model.pipeline(RATE)
    assert pipeline.finish() == []
    assert pipeline.position == 0


def test_mono_is_the_mean_or_one_channel() -> None:
    block = np.float32([[1, 3], [2, 4]])
    assert to_mono(block, None).tolist() == [2, 3]
    assert to_mono(block, 2).tolist() == [3, 4]


class Poisoned:
    """A streaming classifier whose memory keeps what it once had: one bad chunk spoils all that follow."""

    chunk, steps = 16, 1

    def __init__(self, good: Classifier) -> None:
        self.chunk, self.steps = good.chunk, good.steps
        self._good = good
        self.bad_at: set[int] = set()
        self._count = 0

    def open(self) -> dict[str, object]:
        return {"good": self._good.open(), "spoilt": False}

    def step(self, chunks: np.ndarray, memories: Sequence[dict[str, object]]) -> np.ndarray:
        scores = self._good.step(chunks, [memory["good"] for memory in memories])
        for memory, own in zip(memories, scores, strict=True):
            memory["spoilt"] = memory["spoilt"] or self._count in self.bad_at
            if memory["spoilt"]:
                own[:] = np.nan
        self._count += 1
        return scores


def test_scores_that_are_no_numbers_spoil_one_chunk_and_not_what_follows(model: Model) -> None:
    poisoned = Poisoned(model.classifier)
    poisoned.bad_at = {3}
    pipeline = replace(model, classifier=poisoned).pipeline(RATE)
    changes = pipeline.push(tones((500, 2), (0, 1)))
    [(begin, end)] = pipeline.take_unscored()
    assert (begin, end) == (3 * 16 * 160, 4 * 16 * 160)
    ends = spans(changes + pipeline.finish())
    assert [label for label, _, _ in ends] == [0, 0], "ended where nothing is known, and heard again"
    assert ends[0][2] <= begin / RATE
    assert ends[1][1] >= end / RATE
    assert pipeline.take_unscored() == []


def test_scores_that_never_are_numbers_are_told_in_stretches(model: Model) -> None:
    poisoned = Poisoned(model.classifier)
    poisoned.bad_at = set(range(1_000))
    pipeline = replace(model, classifier=poisoned).pipeline(RATE)
    pipeline.push(tones((0, 10)))
    assert pipeline.failing
    assert pipeline.progress == 0, "a watchdog starves"
    pipeline.finish()
    stretches = pipeline.take_unscored()
    assert len(stretches) > 1
    assert stretches[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(stretches))
    assert stretches[-1][1] >= 10 * RATE
