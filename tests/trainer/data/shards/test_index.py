import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.commands import call
from trainer.data.layouts.listing import list_recordings
from trainer.data.shards.index import INDEX, read_index
from trainer.data.shards.reading import Shards
from trainer.evaluation.content import sketches
from trainer.prepare import PrepareConfig, prepare_shards
from trainer.shards import main

RATE = 16_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five clips of noise of different lengths with labels, in shards of two."""
    audio = tmp_path / "audio"
    audio.mkdir()
    rng = np.random.default_rng(0)
    rows = ["path,label"]
    for number in range(5):
        soundfile.write(audio / f"{number}.wav", rng.normal(size=RATE + number) * 0.1, RATE)
        rows.append(f'{number}.wav,"Dog, {number}"')
    (tmp_path / "table.csv").write_text("\n".join(rows))
    recordings = list_recordings(audio, tmp_path / "table.csv", {})
    prepare_shards(recordings, tmp_path / "shards", PrepareConfig(per_shard=2), 1)
    return tmp_path / "shards"


def test_an_index_says_of_each_clip_where_how_long_and_what_it_is(folder: Path, tmp_path: Path) -> None:
    index = read_index(folder)
    assert index is not None
    index.check(thoroughly=True)
    assert index.counts == [2, 2, 1]
    assert sorted(index.about) == [(f"{number}.wav", 0, (f"Dog, {number}",)) for number in range(5)]
    for (source, _, _), samples in zip(index.about, index.samples, strict=True):
        assert samples == RATE + int(source.removesuffix(".wav"))
    order = [source for source, _, _ in index.about]
    recordings = {one.name: one for one in list_recordings(tmp_path / "audio", None, {})}
    theirs = sketches([recordings[name] for name in order])  # type: ignore[misc]
    assert np.unpackbits(index.sketches ^ theirs, axis=1).sum(axis=1).max() <= 8, "as of the recordings themselves"


def test_an_index_gives_the_clips_that_the_headers_give(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(folder, plain)
    (plain / INDEX).unlink()
    indexed, scanned = Shards([folder]), Shards([plain])
    assert len(indexed) == len(scanned) == 5
    for number in range(5):
        assert indexed.name(number) == scanned.name(number)
        assert np.array_equal(indexed.read(number, RATE), scanned.read(number, RATE))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-512])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, r"shard-000001\.tar is missing"),
        (cut, r"shard-000001\.tar is cut off: \d+ bytes of \d+"),
        (lengthen, r"shard-000001\.tar is longer: "),
        (lambda path: shutil.copy(path, path.with_name("other.tar")), r"other\.tar is not in the index"),
    ],
)
def test_what_is_not_as_the_index_says_is_named_at_the_start(folder: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    damage(folder / "shard-000001.tar")
    with pytest.raises(WrongUse, match=message):
        Shards([folder])


def test_preparing_again_makes_a_cut_shard_whole(folder: Path, tmp_path: Path) -> None:
    before = (folder / "shard-000001.tar").read_bytes()
    cut(folder / "shard-000001.tar")
    recordings = list_recordings(tmp_path / "audio", tmp_path / "table.csv", {})
    prepare_shards(recordings, folder, PrepareConfig(per_shard=2), 1)
    assert (folder / "shard-000001.tar").read_bytes() == before
    assert len(Shards([folder])) == 5


def test_shards_of_before_there_was_an_index_get_one_when_prepared_again(folder: Path, tmp_path: Path) -> None:
    first = (folder / INDEX).read_bytes()
    (folder / INDEX).unlink()
    for file in folder.glob("*.json"):
        content = json.loads(file.read_text())
        del content["described"]
        file.write_text(json.dumps(content))
    times = {path: path.stat().st_mtime_ns for path in folder.glob("*.tar")}
    recordings = list_recordings(tmp_path / "audio", tmp_path / "table.csv", {})
    prepare_shards(recordings, folder, PrepareConfig(per_shard=2), 1)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.tar")} == times
    with np.load(folder / INDEX) as made:
        (folder / INDEX).write_bytes(first)
        with np.load(folder / INDEX) as there:
            assert all(np.array_equal(made[name], there[name]) for name in there.files)


def test_the_command_compares_every_byte_and_makes_an_index(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("trainer.shards", main, folder) == 0
    assert "5 clips, 0.00 h, in 3 shards" in capsys.readouterr().out
    path = folder / "shard-000002.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:-600] + bytes([whole[-600] ^ 1]) + whole[-599:])
    assert call("trainer.shards", main, folder) == 2
    assert "shard-000002.tar has another content than when it was made" in capsys.readouterr().err
    (folder / INDEX).unlink()
    path.write_bytes(whole)
    assert call("trainer.shards", main, folder) == 2
    assert "--write" in capsys.readouterr().err
    assert call("trainer.shards", main, folder, "--write") == 0
    assert len(Shards([folder])) == 5


def test_a_broken_index_is_named(folder: Path) -> None:
    (folder / INDEX).write_bytes(b"PK no zip")
    with pytest.raises(AsitEdgeError, match=r"index\.npz: cannot be read .* trainer\.shards"):
        Shards([folder])
