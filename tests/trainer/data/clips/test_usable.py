"""For a clip that cannot be learnt from the next one stands in, and it is named with the reason."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import AsitEdgeError
from trainer.data.clips.usable import DAMAGED_IN_A_ROW, StandIns
from trainer.data.decode import LazyClips
from trainer.data.recording import Recording

RATE = 16_000


def clip(folder: Path, name: str, samples: np.ndarray, labels: tuple[str, ...] = ("Dog",), cut: int = 0) -> Recording:
    """A clip as it lies in a shard, of a second as the index knows it; `cut`: without its last bytes."""
    path = folder / f"{name}.tar"
    form = {"format": "OGG", "subtype": "VORBIS"} if cut else {"format": "WAV", "subtype": "FLOAT"}
    soundfile.write(path, samples.astype(np.float32), RATE, **form)
    size = path.stat().st_size - cut
    path.write_bytes(path.read_bytes()[:size])
    return Recording(path, labels, name=name, seconds=1.0, inside=(0, size))


@pytest.fixture
def clips(tmp_path: Path) -> LazyClips:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    gap = noise.copy()
    gap[500] = np.nan
    listed = [
        clip(tmp_path, "good", noise),
        clip(tmp_path, "nan", gap),
        clip(tmp_path, "silent", np.zeros(RATE)),
        clip(tmp_path, "cut", noise, cut=3_000),
        clip(tmp_path, "quiet", np.zeros(RATE), labels=()),
    ]
    return LazyClips(listed, RATE)


def test_damaged_clips_are_stood_in_for_by_the_next_one_and_named(clips: LazyClips) -> None:
    skipped: dict[str, str] = {}
    index, samples = StandIns(clips).take(1, skipped)
    assert (index, len(samples)) == (4, RATE), "silence without a label is a negative"
    reasons = [reason for _, reason in sorted(skipped.items())]
    assert [Path(name.split(" ")[0]).stem for name in sorted(skipped)] == ["cut", "nan", "silent"]
    assert "cut off, " in reasons[0]
    assert f"samples of {RATE} are left" in reasons[0]
    assert reasons[1:] == ["samples that are not finite", "silent"]
    again: dict[str, str] = {}
    assert StandIns(clips).take(0, again)[0] == 0
    assert again == {}


def test_too_many_in_a_row_are_no_accident() -> None:
    broken = [np.full(10, np.nan, np.float32)] * (DAMAGED_IN_A_ROW + 5)
    with pytest.raises(AsitEdgeError, match="clip 3: it and the clips after it cannot be learnt from") as raised:
        StandIns(broken).take(3, {})
    assert str(raised.value).count("not finite") == DAMAGED_IN_A_ROW
