"""The pool of tones."""

from pathlib import Path

import pytest

from tests.trainer.evaluation.yardstick.sounds import write_pool
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Recording


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pool(tmp_path_factory.mktemp("pools") / "events")


@pytest.fixture(scope="session")
def recordings(pool: Path) -> list[Recording]:
    return read_recordings(pool)
