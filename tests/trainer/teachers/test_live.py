"""The live teacher: EfficientAT's own front end at half the rate, stretches of what it sees, scenes as targets."""

from pathlib import Path

import numpy as np
import pytest
import soxr
import torch

from asit_edge.errors import WrongUse
from trainer.data.audioset import audioset_ids
from trainer.data.decode import decode
from trainer.models.mobilenet import MobileNet
from trainer.teachers.efficientat import Mel32k
from trainer.teachers.live import COLUMNS, HalfRateMel, LiveTeacher

RATE = 16_000
LABELS = list(audioset_ids())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("teacher") / "mn02.pt"
    torch.save(MobileNet(0.2, 527).state_dict(), file)
    return file


def test_half_the_rate_gives_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.1, RATE).astype(np.float32)
    whole = Mel32k()(torch.from_numpy(soxr.resample(samples, RATE, 2 * RATE)[None]))
    half = HalfRateMel()(torch.from_numpy(samples[None]))
    # Resampling fades out just below 8 kHz.
    difference = (whole[:, :, :90, 3:-3] - half[:, :, :90, 3 : whole.shape[3] - 3]).abs()
    assert difference.mean() < 0.01
    assert difference.mean(dim=(0, 1, 3)).max() < 0.1


def test_a_steps_target_is_the_mean_of_the_stretches_that_cover_it(teacher: Path) -> None:
    torch.manual_seed(1)
    live = LiveTeacher(teacher, LABELS[5:9], RATE)
    waveforms = 0.1 * torch.randn(2, 40 * 2560)
    given = live(waveforms)
    assert given.shape == (2, 40, 4)
    picture = live._features(waveforms).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        seen = live._model.features(picture)
    columns = seen.float().mean(dim=2)[:, :, :20]
    with torch.inference_mode():
        judged = [
            live._model.classifier[2:](columns[:, :, first : first + COLUMNS].mean(dim=2))[:, 5:9].sigmoid()
            for first in range(20 - COLUMNS + 1)
        ]
    for step in (0, 9, 21, 39):
        covering = torch.stack([one for first, one in enumerate(judged) if first <= step // 2 < first + COLUMNS])
        assert torch.allclose(given[:, step], covering.mean(dim=0), atol=1e-5), step


def test_scenes_do_not_influence_each_other_and_short_ones_are_one_stretch(teacher: Path) -> None:
    live = LiveTeacher(teacher, LABELS[:3], RATE)
    waveforms = 0.1 * torch.randn(2, 8 * 2560)
    both, alone = live(waveforms), live(waveforms[1:])
    assert torch.allclose(both[1:], alone, atol=2e-2)
    assert (both[:, 0] == both[:, -1]).all()


def test_another_rate_and_a_missing_file_are_refused(teacher: Path) -> None:
    with pytest.raises(WrongUse, match="--live hears 16 kHz, not 8000 Hz"):
        LiveTeacher(teacher, LABELS, 8000)
    with pytest.raises(WrongUse, match=r"none.pt: no such teacher"):
        LiveTeacher(Path("none.pt"), LABELS, RATE)


def test_the_published_teacher_hears_a_baby_where_it_is(shared_data: Path) -> None:
    names = ["Baby cry, infant cry", "Speech"]
    live = LiveTeacher(shared_data / "teachers" / "efficientat_mn04_as_mAP_432.pt", names, RATE)
    scene = np.zeros(40 * 2560, np.float32)
    cry = decode(shared_data / "demo" / "BabyCry.flac", RATE)[: 3 * RATE]
    scene[3 * RATE : 3 * RATE + len(cry)] = cry
    given = live(torch.from_numpy(scene[None]))[0].numpy()
    assert given[19:37, 0].max() > 0.5
    assert given[:12, 0].max() < 0.05
    assert given[:, 1].max() < given[:, 0].max()
