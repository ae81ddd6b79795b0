"""Arrays out of npz files: read, or refused in one line, whatever is wrong with the file."""

from pathlib import Path

import numpy as np
import pytest

from asit_edge.errors import AsitEdgeError
from asit_edge.model.arrays import read_arrays

DAMAGED = {
    "a header that does not end": lambda data: data[:71] + b"PK\x03\x04" + data[75:],
    "cut off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "text": lambda data: b"no arrays\n" * 20,
    "zeros": lambda data: bytes(len(data)),
}


def test_arrays_come_by_name_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", one=np.ones(3, np.float32), two=np.zeros((2, 2), np.float32))
    two, one = read_arrays(tmp_path / "two.npz", ("two", "one"), "not readable")
    assert (two.shape, one.tolist()) == ((2, 2), [1, 1, 1])


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "golden.npz"
    np.savez(file, log_mel=np.zeros((2, 64, 128), np.float32))
    file.write_bytes(DAMAGED[damage](file.read_bytes()))
    with pytest.raises(AsitEdgeError, match=r"golden\.npz: not readable \(.*\)$") as refused:
        read_arrays(file, ("log_mel",), "not readable")
    assert "\n" not in str(refused.value)


def test_a_missing_array_or_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", one=np.ones(3, np.float32))
    for file, name in (("one.npz", "two"), ("none.npz", "one")):
        with pytest.raises(AsitEdgeError, match=file):
            read_arrays(tmp_path / file, (name,), "not readable")
