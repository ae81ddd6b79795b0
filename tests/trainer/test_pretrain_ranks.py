"""Two processes of one run, each with a folder and shards of its own, as on nodes that share nothing (gloo)."""

import json
import shutil
import socket
from pathlib import Path

import pytest
import torch

from tests.trainer.commands import Forked
from tests.trainer.pretraining import config, losses, make_shards, metrics, train
from trainer.asit.beginning import CHECKPOINT
from trainer.asit.config import PretrainConfig
from trainer.data.shards.index import INDEX
from trainer.pretrain import main
from trainer.run.checkpoint import read_file

Done = tuple[int, str]
"""Exit code and what was said on stderr."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory)


@pytest.fixture(scope="module")
def stopped(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes' batches that was stopped after an epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    settings = config(shards, part_size=4, parts=2, epochs=1)
    train(folder, settings)
    saved = read_file(folder / CHECKPOINT)
    assert saved["step"] == 2
    saved["config"]["epochs"] = 2
    torch.save(saved, folder / CHECKPOINT)
    return folder


def both(*ranks: tuple[Path, PretrainConfig], resume: bool = True) -> list[Done]:
    """The command on two nodes, each with its own folder and settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank, (folder, settings) in enumerate(ranks):
        file = folder.with_suffix(".json")
        file.write_text(json.dumps(settings.model_dump()))
        place = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        given = [folder, "--config", file, *(["--resume"] if resume else [])]
        running.append(Forked(folder.with_suffix(".said"), "trainer.pretrain", main, *given, environment=place))
    return [process.wait() for process in running]


def test_a_rank_without_the_checkpoint_is_refused(shards: Path, stopped: Path, tmp_path: Path) -> None:
    mine = tmp_path / "node0"
    shutil.copytree(stopped, mine)
    before = (mine / CHECKPOINT).read_bytes()
    for code, said in both((mine, config(shards)), (tmp_path / "node1", config(shards))):
        assert code == 2, said
        assert "trainer.pretrain: error: the processes of this run differ: rank 1 (" in said
        assert "checkpoint step is none, a new run, on rank 0 2" in said
        assert "Traceback" not in said
    assert (mine / CHECKPOINT).read_bytes() == before
    assert not (tmp_path / "node1" / CHECKPOINT).exists()


@pytest.mark.parametrize("indexed", [True, False])
def test_a_rank_that_lacks_a_shard_is_refused(shards: Path, tmp_path: Path, indexed: bool) -> None:
    folders = [tmp_path / "data0", tmp_path / "data1"]
    for folder in folders:
        shutil.copytree(shards, folder)
        if not indexed:
            (folder / INDEX).unlink()
    (folders[1] / "shard-000001.tar").unlink()
    done = both(*((tmp_path / f"node{rank}", config(folder)) for rank, folder in enumerate(folders)), resume=False)
    for rank, (code, said) in enumerate(done):
        assert code == 2, said
        if not indexed:
            assert "rank 1 (" in said
            assert "shard 0/shard-000001.tar is not there, on rank 0 7 clips" in said
        elif rank == 1:
            assert "data1: is not what its index.npz says: shard-000001.tar is missing" in said
        else:
            assert "rank 1 (" in said
            assert "shard-000001.tar is missing" in said
    assert not list(tmp_path.glob("node*/" + CHECKPOINT))


def test_other_settings_on_a_rank_are_named(shards: Path, tmp_path: Path) -> None:
    other = config(shards, prototypes=13, learning_rate=0.1)
    for code, said in both((tmp_path / "node0", config(shards)), (tmp_path / "node1", other), resume=False):
        assert code == 2, said
        assert "setting prototypes is 13, on rank 0 12, setting learning_rate is 0.1, on rank 0 0.05" in said


def test_weights_of_another_content_give_way_to_rank_0s(shards: Path, stopped: Path, tmp_path: Path) -> None:
    """The same step, but a teacher that somebody has touched: rank 0's state is everybody's."""
    losses_of = []
    for touched in (False, True):
        folders = [tmp_path / f"{touched}{rank}" for rank in range(2)]
        for folder in folders:
            shutil.copytree(stopped, folder)
        if touched:
            saved = read_file(folders[1] / CHECKPOINT)
            for network in ("student", "teacher"):
                saved[network] = {name: value * 1.5 for name, value in saved[network].items()}
            saved["centre_class"]["value"] += 1
            for moments in saved["optimiser"]["state"].values():
                moments["exp_avg"] += 1
            torch.save(saved, folders[1] / CHECKPOINT)
        done = both(*((folder, config(shards)) for folder in folders))
        assert [code for code, _ in done] == [0, 0], done
        assert max(metrics(folders[0])) == 4
        losses_of.append(losses(metrics(folders[0]), first=3))
    assert losses_of[0] == losses_of[1]
