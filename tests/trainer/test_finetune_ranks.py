"""Fine-tuning by two processes (gloo): what one process learns, kills that leave nothing behind, ranks that agree."""

import json
import shutil
import socket
import time
from pathlib import Path

import pytest

from tests.trainer.audioset import damage, make_audioset, make_shards
from tests.trainer.commands import Forked
from trainer.finetune import main as finetune
from trainer.finetuning.checkpoint import FINETUNED
from trainer.run.checkpoint import load_checkpoint

SETTINGS = {
    "frames": "96", "workers": "0", "validation": "0.2", "evaluations": "2", "save_every": "3", "log_every": "1",
    "average_from": "1", "balanced": "true", "layer_decay": "0.75", "roll": "5", "noise": "0.1",
}  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of forty clips are damaged."""
    folder = make_shards(make_audioset(tmp_path_factory.mktemp("audioset")), tmp_path_factory.mktemp("shards"))
    damage(folder / "balanced_train_segments", {7, 31})
    return folder


def start(out: Path, shards: Path, ranks: int = 2, **settings: str) -> list[Forked]:
    """The command as torchrun starts it, so many times."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pairs = [part for key, value in {**SETTINGS, **settings}.items() for part in ("--set", f"{key}={value}")]
    given = ["audioset-20k", "--data", shards, "--size", "nano", "--epochs", "2", "--batch", "8", "--threads", "1"]
    running = []
    for rank in range(ranks):
        place = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        folder = out / str(rank) if "apart" in out.name else out
        said = out.with_name(f"{out.name}-{rank}.said")
        arguments = [*given, "--out", folder, *pairs]
        running.append(Forked(said, "trainer.finetune", finetune, *arguments, environment=place))
    return running


def ended(running: list[Forked]) -> list[str]:
    done = [process.wait() for process in running]
    assert [code for code, _ in done] == [0] * len(done), done
    return [said for _, said in done]


def difference(first: Path, second: Path) -> float:
    one, other = (load_checkpoint(out / "test.pt", FINETUNED)["model"] for out in (first, second))
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def journal(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "journal" / "test" / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_learn_what_one_does(shards: Path, tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    ended(start(alone, shards, ranks=1))
    said = ended(start(together, shards))
    assert difference(alone, together) < 2e-5
    assert [line["step"] for line in journal(together)] == [line["step"] for line in journal(alone)]
    for one, other in zip(journal(alone), journal(together), strict=True):
        assert other["loss/total"] == pytest.approx(one["loss/total"], abs=1e-5)
        assert other.get("validation") == pytest.approx(one.get("validation"), abs=1e-3)
    records = [json.loads((out / "results.json").read_text())["runs"]["test"]["0"] for out in (alone, together)]
    assert records[0]["skipped"] == records[1]["skipped"]
    assert len(records[1]["skipped"]) == 2
    assert "saved" in said[0]
    assert "saved" not in said[1]


def test_killed_processes_go_on_to_the_same_weights_and_only_together(shards: Path, tmp_path: Path) -> None:
    """Each process has a folder of its own, as on nodes that share nothing."""
    whole, apart = tmp_path / "whole", tmp_path / "apart"
    ended(start(whole, shards, drop_path="0.3"))
    running = start(apart, shards, drop_path="0.3")
    nodes = [apart / str(rank) for rank in range(2)]
    state = nodes[0] / "test.running.pt"
    deadline = time.monotonic() + 60
    while not state.exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    for process in running:
        process.process.kill()
        process.process.join()
    assert not (nodes[0] / "test.pt").exists(), "the run came to its end before it could be killed"
    for code, said in [process.wait() for process in start(apart, shards, drop_path="0.3")]:
        assert code == 2, said
        assert "trainer.finetune: error: the processes of this run differ: rank 1 (" in said
        assert "checkpoint step is none, a new run, on rank 0 " in said
        assert "Traceback" not in said
    shutil.copy(state, nodes[1])
    ended(start(apart, shards, drop_path="0.3"))
    assert difference(whole, nodes[0]) == 0
    steps = [int(line["step"]) for line in journal(nodes[0])]
    assert steps == [int(line["step"]) for line in journal(whole)]
    assert len(set(steps)) == len(steps)


def test_a_batch_that_cannot_be_shared_out_is_refused(shards: Path, tmp_path: Path) -> None:
    for code, said in [process.wait() for process in start(tmp_path / "out", shards, batch="7")]:
        assert code == 2, said
        assert "batch 7: cannot be shared out among 2 processes; take --batch 6" in said
