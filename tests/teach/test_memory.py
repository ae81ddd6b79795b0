"""The memory of a listener: as much as was asked for, in order across restarts, and no more."""

import os
from pathlib import Path

import numpy as np
import pytest

from asit_edge.errors import AsitEdgeError
from asit_edge.model.key import ModelKey
from asit_edge.teach.memory import HEADER, TOGETHER, Memory, recall, record_type, sources_remembered

KEY = ModelKey(name="m", version="1", sha256="a" * 64)
AXES = 8


def unit(number: int) -> np.ndarray:
    vector = np.zeros(AXES, np.float32)
    vector[number % AXES] = 1
    return vector


def noted(folder: Path, times: range, hours: float = 0.1, key: ModelKey = KEY) -> None:
    memory = Memory(folder, key, AXES, 0.32, hours)
    for number in times:
        memory.note("mic", 1_000 + 0.32 * number, unit(number))
    memory.stop(10)


def test_what_was_noted_is_recalled_in_order_and_what_is_older_is_forgotten(tmp_path: Path) -> None:
    for first in (0, 1_000, 2_000):
        noted(tmp_path, range(first, first + 1_000))
    found = recall(tmp_path, "mic", KEY)
    assert found is not None
    assert len(found.times) == 1_125  # 0.1 h
    assert found.times[-1] == pytest.approx(1_000 + 0.32 * 2_999)
    assert (np.diff(found.times) > 0).all()
    assert np.array_equal(found.directions[-1], unit(2_999))
    assert found.hours == pytest.approx(0.1)


def test_the_next_run_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    noted(tmp_path, range(1_000))
    noted(tmp_path, range(1_000, 1_300))
    found = recall(tmp_path, "mic", KEY)
    assert found is not None
    assert found.times == pytest.approx(1_000 + 0.32 * np.arange(175, 1_300))


def test_the_file_never_grows_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    sizes = set()
    for run in range(4):
        noted(tmp_path, range(run * 1_000, run * 1_000 + 1_000))
        sizes.add((tmp_path / "mic.directions").stat().st_size)
    assert sizes == {HEADER + 1_125 * record_type(AXES).itemsize}
    assert (tmp_path / "mic.directions").stat().st_mode & 0o077 == 0


def test_another_model_or_another_length_begins_anew(tmp_path: Path) -> None:
    other = KEY.model_copy(update={"sha256": "b" * 64})
    noted(tmp_path, range(100))
    assert recall(tmp_path, "mic", other) is None
    noted(tmp_path, range(100, 150), key=other)
    assert recall(tmp_path, "mic", KEY) is None
    noted(tmp_path, range(200, 300), hours=0.2, key=other)
    found = recall(tmp_path, "mic", other)
    assert found is not None
    assert len(found.times) == 100


def test_a_moment_is_the_chunks_that_have_something_of_it_and_stretches_have_no_breaks(tmp_path: Path) -> None:
    noted(tmp_path, range(100))
    noted(tmp_path, range(400, 450))
    found = recall(tmp_path, "mic", KEY)
    assert found is not None
    moment = found.between(1_000 + 0.32 * 10 + 0.1, 1_000 + 0.32 * 12 - 0.1)
    assert moment.times == pytest.approx([1_000 + 0.32 * 11, 1_000 + 0.32 * 12])
    parts = list(found.stretches(10.0))
    assert max(len(part.times) for part in parts) == 31
    assert all((np.diff(part.times) < 0.4).all() for part in parts)
    assert sum(len(part.times) for part in parts) == 150


def test_a_full_disk_is_said_once_and_nothing_is_raised(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "folder").write_text("a file, where a folder should be")
    memory = Memory(tmp_path / "folder", KEY, AXES, 0.32, 0.1)
    for number in range(3 * TOGETHER):
        memory.note("mic", 1_000 + number, unit(number))
    memory.stop(10)
    assert caplog.text.count("cannot be remembered") == 1


def test_a_damaged_file_is_refused_in_words_and_a_cut_one_gives_what_is_whole(tmp_path: Path) -> None:
    noted(tmp_path, range(100))
    path = tmp_path / "mic.directions"
    os.truncate(path, HEADER + 50 * record_type(AXES).itemsize + 3)
    found = recall(tmp_path, "mic", KEY)
    assert found is not None
    assert len(found.times) == 50
    path.write_bytes(b"not ours" + path.read_bytes())
    with pytest.raises(AsitEdgeError, match="delete it"):
        recall(tmp_path, "mic", KEY)
    assert sources_remembered(tmp_path) == ["mic"]
    assert recall(tmp_path, "none", KEY) is None
