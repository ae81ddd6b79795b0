"""A model that can be taught, and a state directory of the test's own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import RATE
from tests.teach.teachable import beep, write_teachable


@pytest.fixture(scope="session")
def teachable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teachable(tmp_path_factory.mktemp("bundles") / "teachable")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `asit-edge` keeps its state during the test."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "asit-edge"


@pytest.fixture
def takes(tmp_path: Path) -> list[Path]:
    """Five recordings of the same beep."""
    files = []
    for number in range(5):
        files.append(tmp_path / f"beep{number}.wav")
        soundfile.write(files[-1], beep(number), RATE, subtype="PCM_16")
    return files


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return path
