import io
import logging
import tarfile
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.data.layouts.listing import list_recordings
from trainer.data.mixing import fitted
from trainer.data.shards.batches import Batches, Crops, CropSizes, epoch_order
from trainer.data.shards.index import INDEX
from trainer.data.shards.reading import Shards
from trainer.prepare import Codec, PrepareConfig, prepare_shards

RATE = 16_000


def make(folder: Path, count: int = 10, codec: Codec = Codec.FLAC, per_shard: int = 4) -> Path:
    """Constant clips, one level each, so that every sample tells its clip."""
    audio = folder / "audio"
    audio.mkdir(parents=True)
    for number in range(count):
        level = np.full(RATE + 100 * number, (number + 1) / 64, np.float32)
        soundfile.write(audio / f"{number}.wav", level, RATE)
    prepare_shards(list_recordings(audio, None, {}), folder / "shards", PrepareConfig(codec, per_shard=per_shard), 1)
    return folder / "shards"


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def wav(rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(rate, 0.5), rate, format="WAV")
    return buffer.getvalue()


def test_every_clip_is_read_back_once(tmp_path: Path) -> None:
    shards = Shards([make(tmp_path)])
    clips = [shards.read(index, RATE) for index in range(len(shards))]
    assert sorted(round(float(clip[0]) * 64) for clip in clips) == list(range(1, 11))
    assert all(len(clip) == RATE + 100 * (round(float(clip[0]) * 64) - 1) for clip in clips)
    assert shards.counts == [4, 4, 2]
    assert shards.name(4) == "shard-000001.tar/000001-000000-0000.flac"


def test_opus_is_read_back_at_its_rate(tmp_path: Path) -> None:
    clip = Shards([make(tmp_path, 1, Codec.OPUS)]).read(0, RATE)
    assert len(clip) == RATE


def test_webdataset_reads_our_shards(tmp_path: Path) -> None:
    folder = make(tmp_path)
    pattern = str(folder / "shard-{000000..000002}.tar")
    examples = list(webdataset.WebDataset(pattern, shardshuffle=False, empty_check=False))
    assert len(examples) == 10
    assert all({"__key__", "flac", "json"} <= example.keys() for example in examples)


def test_several_folders_are_one_set(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a", 3), make(tmp_path / "b", 5)
    assert len(Shards([first, second])) == 8


@pytest.mark.parametrize("window", [0, 2])
def test_an_epoch_has_every_example_once_in_an_order_of_its_own(window: int) -> None:
    counts = [5, 3, 0, 7]
    orders = [epoch_order(counts, seed, epoch, window) for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert all(sorted(order) == list(range(15)) for order in orders)
    assert orders[0].tolist() == orders[3].tolist()
    assert orders[0].tolist() != orders[1].tolist() != orders[2].tolist()


def test_without_a_window_every_place_is_equally_likely() -> None:
    first = [int(epoch_order([10, 10], seed, 0)[0]) for seed in range(2000)]
    assert np.bincount(first, minlength=20).min() > 60  # 100 expected, deviation 10


def test_a_window_mixes_only_neighbouring_shards() -> None:
    order = epoch_order([10] * 6, seed=0, epoch=0, window=2)
    for first in range(0, 60, 20):
        assert len(set(order[first : first + 20] // 10)) == 2


def test_processes_and_parts_share_each_batch_out() -> None:
    counts = [20, 17]

    def batches(processes: int, rank: int, parts: int, part_size: int) -> list[list[int]]:
        drawn = list(Batches(counts, part_size, parts, processes, rank, seed=3, epochs=2))
        return [[index for _, index in part] for part in drawn]

    whole = batches(1, 0, 1, 12)
    assert len(whole) == 2 * (37 // 12)
    ranks = [batches(2, rank, 2, 3) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        parts = [ranks[rank][2 * step + part] for part in (0, 1) for rank in (0, 1)]
        assert list(chain.from_iterable(parts)) == batch
    assert len(set(chain.from_iterable(whole[:3]))) == 36


def test_the_position_in_a_run_is_a_step() -> None:
    from_start = list(Batches([20], 3, 2, 1, 0, seed=0, epochs=4))
    from_step_5 = list(Batches([20], 3, 2, 1, 0, seed=0, epochs=4, first_step=5))
    assert from_step_5 == from_start[10:]
    assert len(from_start) == 2 * 4 * 3


def test_crops_depend_on_seed_epoch_and_example_alone(tmp_path: Path) -> None:
    shards = Shards([make(tmp_path)])
    crops = Crops(shards, CropSizes(RATE, 8_000, 2_000), seed=0)
    index, global_, local = crops[0, 3]
    assert (index, tuple(global_.shape), tuple(local.shape)) == (3, (2, 8_000), (4, 2_000))
    assert (crops[0, 3][1] == global_).all()
    quiet = Crops(shards, CropSizes(RATE, 2 * RATE, 2_000), seed=0)
    assert (quiet[0, 3][1] != quiet[1, 3][1]).any()


def test_a_short_clip_lies_anywhere_in_silence() -> None:
    rng = np.random.default_rng(0)
    places = []
    for _ in range(200):
        padded = fitted(np.ones(3, np.float32), 8, rng)
        assert padded.sum() == 3
        places.append(int(padded.argmax()))
    assert set(places) == set(range(6))
    assert {int(fitted(np.arange(5, dtype=np.float32), 2, rng)[0]) for _ in range(200)} == set(range(4))


def test_a_shard_that_is_cut_off_is_used_up_to_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make(tmp_path, per_shard=10)
    (folder / INDEX).unlink()
    path = folder / "shard-000000.tar"
    whole = Shards([folder])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        cut = Shards([folder])
    assert 0 < len(cut) < len(whole)
    assert "shard-000000.tar: damaged or cut off" in caplog.text
    assert all(len(cut.read(index, RATE)) >= RATE for index in range(len(cut)))


def test_empty_and_foreign_shards_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make(tmp_path, 2)
    (folder / INDEX).unlink()
    write_tar(folder / "texts.tar", {"a.txt": b"text"})
    (folder / "nothing.tar").touch()
    (folder / "noise.tar").write_bytes(bytes(range(256)) * 8)
    with caplog.at_level(logging.WARNING):
        assert len(Shards([folder])) == 2
    assert "texts.tar: holds no audio" in caplog.text
    assert "nothing.tar: damaged" in caplog.text
    assert "noise.tar: damaged" in caplog.text


def test_an_unreadable_example_is_stood_in_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tar(tmp_path / "a.tar", {"0.wav": wav(RATE), "1.flac": b"fLaC broken", "2.wav": wav(RATE)})
    crops = Crops(Shards([tmp_path]), CropSizes(RATE, 800, 400), seed=0)
    with caplog.at_level(logging.WARNING):
        assert crops[0, 1][0] == 2
    assert "a.tar/1.flac: cannot be read" in caplog.text


def test_a_set_that_is_all_unreadable_stops(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.flac": b"fLaC broken"})
    with pytest.raises(AsitEdgeError, match="cannot be read"):
        Crops(Shards([tmp_path]), CropSizes(RATE, 800, 400), seed=0)[0, 0]


def test_a_wrong_rate_is_wrong_use(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"cd.wav": wav(44_100)})
    with pytest.raises(WrongUse, match=r"a\.tar/cd\.wav: sampled at 44100 Hz, not 16000"):
        Crops(Shards([tmp_path]), CropSizes(RATE, 800, 400), seed=0)[0, 0]


@pytest.mark.parametrize("content", [None, {}, {"a.tar": {"a.txt": b"text"}}])
def test_folders_without_examples_say_what_to_do(tmp_path: Path, content: dict[str, dict[str, bytes]] | None) -> None:
    folder = tmp_path / "shards"
    if content is not None:
        folder.mkdir()
        for name, files in content.items():
            write_tar(folder / name, files)
    with pytest.raises(WrongUse, match=r"trainer\.prepare|no audio"):
        Shards([folder])
