"""A model that knows taught sounds: its own scores as they were, taught ones beside them, whatever the batch."""

from collections.abc import Sequence

import numpy as np
import pytest

from asit_edge.model.classifier import LogMels, Scores
from asit_edge.teach.prototype import Prototype
from asit_edge.teach.space import Axes
from asit_edge.teach.taught import Corrector, TaughtClassifier

AXES = Axes(np.zeros(4, np.float32), np.eye(4, dtype=np.float32))


class Plain:
    """A model of two classes whose embedding is the chunk's mean, and who counts what it was asked for."""

    chunk, steps, embedding = 2, 2, 4

    def __init__(self) -> None:
        self.embedded = 0

    def open(self) -> list[float]:
        return [0.0]

    def step(self, chunks: LogMels, memories: Sequence[list[float]]) -> Scores:
        for memory in memories:
            memory[0] += 1
        return np.stack([np.full((2, 2), min(memory[0] / 10, 1), np.float32) for memory in memories])

    def step_embedded(self, chunks: LogMels, memories: Sequence[list[float]]) -> tuple[Scores, np.ndarray]:
        self.embedded += 1
        return self.step(chunks, memories), chunks.mean(axis=1)


def prototype(axis: int, threshold: float = 0.5) -> Prototype:
    return Prototype(np.eye(4, dtype=np.float32)[axis], threshold, 0.05)


def chunks(*axes: int) -> np.ndarray:
    return np.stack([np.tile(np.eye(4, dtype=np.float32)[axis], (2, 1)) for axis in axes])


def test_without_anything_taught_it_is_the_model_and_asks_for_no_embeddings() -> None:
    plain = Plain()
    taught = TaughtClassifier(plain)
    assert np.array_equal(taught.step(chunks(0), [taught.open()]), Plain().step(chunks(0), [[0.0]]))
    taught.know([], AXES)
    assert taught.step(chunks(0), [taught.open()]).shape == (1, 2, 2)
    assert plain.embedded == 0


def test_taught_sounds_are_further_columns_and_the_others_stay_as_they_were() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([prototype(0), prototype(1)], AXES)
    memory = taught.open()
    for _ in range(3):
        scores = taught.step(chunks(1), [memory])
    assert scores.shape == (1, 2, 4)
    assert scores[0, :, :2] == pytest.approx(0.3)
    assert scores[0, 0, 2] < 0.01
    assert scores[0, 0, 3] > 0.99
    assert np.array_equal(scores[0, 0], scores[0, 1])


def test_a_sound_counts_once_it_was_heard_for_a_moment_not_at_the_first_chunk() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([prototype(2, threshold=0.9)], AXES)
    memory = taught.open()
    scores = [taught.step(chunks(2), [memory])[0, 0, 2] for _ in range(3)]
    assert scores[0] < scores[1] < 0.5 < scores[2]


def test_streams_in_a_batch_do_not_hear_each_other() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([prototype(0), prototype(1), prototype(3)], AXES)
    together = [taught.open(), taught.open(), taught.open()]
    alone = [taught.open(), taught.open(), taught.open()]
    rng = np.random.default_rng(0)
    for _ in range(5):
        heard = rng.standard_normal((3, 2, 4)).astype(np.float32)
        batch = taught.step(heard, together)
        for row, memory in enumerate(alone):
            assert np.array_equal(batch[row], taught.step(heard[row : row + 1], [memory])[0])


def test_a_column_whose_sound_is_gone_scores_nothing_and_the_next_one_stays_where_it_was() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([prototype(0), prototype(1)], AXES)
    memory = taught.open()
    for _ in range(3):
        taught.step(chunks(1), [memory])
    taught.know([None, prototype(1), prototype(2)], AXES)
    for _ in range(3):
        scores = taught.step(chunks(1), [memory])[0, 0]
    assert scores[2] == 0
    assert scores[3] > 0.99
    assert scores[4] < 0.01


def test_what_was_wrong_holds_a_label_back_and_what_was_missed_brings_it() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([], AXES, [Corrector(0, prototype(1), wrong=True), Corrector(1, prototype(2), wrong=False)])
    memory = taught.open()
    for _ in range(3):
        held = taught.step(chunks(1), [memory])[0, 0]
    assert held[0] < 0.01
    assert held[1] == pytest.approx(0.3)
    for _ in range(3):
        brought = taught.step(chunks(2), [memory])[0, 0]
    assert brought[0] == pytest.approx(0.6, abs=0.01)
    assert brought[1] > 0.99


def test_directions_are_there_for_the_memory_though_nothing_is_taught() -> None:
    taught = TaughtClassifier(Plain())
    taught.know([], AXES)
    memory = taught.open()
    taught.step(chunks(3), [memory])
    assert memory.latest is None
    taught.remembers = True
    taught.step(chunks(3), [memory])
    assert memory.latest == pytest.approx([0, 0, 0, 1])
