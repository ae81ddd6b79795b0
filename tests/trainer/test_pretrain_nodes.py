"""Two nodes with networks of their own: two network namespaces, joined by a cable, torchrun in each (gloo).

The nodes share the folder of the run and the shards, as docs/training.md says, and nothing else.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, require, require_programs
from tests.trainer.pretraining import command, config, losses, make_shards, metrics, train
from trainer.asit.beginning import CHECKPOINT
from trainer.run.checkpoint import read_file

NODES = ("asit-node0", "asit-node1")
HEAD = "10.213.7.1"


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[str, str]]:
    require_programs("ip")
    require(os.geteuid() == 0 and _may_make_networks(), "the right to make network namespaces (root)")
    names = tuple(f"{name}-{os.getpid()}" for name in NODES)
    try:
        for name in names:
            _ip("netns", "add", name)
        _ip("link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable", "netns", names[1])
        for number, name in enumerate(names, start=1):
            _ip("-n", name, "address", "add", f"10.213.7.{number}/24", "dev", "cable")
            for device in ("lo", "cable"):
                _ip("-n", name, "link", "set", device, "up")
        yield names[0], names[1]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _may_make_networks() -> bool:
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True) if shutil.which("unshare") else None
    return made is not None and made.returncode == 0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def launch(nodes: tuple[str, str], line: list[str], port: int) -> "list[subprocess.Popen[str]]":
    """The documented command on both nodes, each in its network and in a process group of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "cable"}
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    meeting = ["--rdzv-endpoint", f"{HEAD}:{port}"]
    return [
        subprocess.Popen(
            ["ip", "netns", "exec", node, sys.executable, *launcher, *meeting,
             "--rdzv-conf", f"is_host={number == 1}", "--local-addr", f"10.213.7.{number}", *line],
            cwd=ROOT, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number, node in enumerate(nodes, start=1)
    ]  # fmt: skip


def kill_all_of(node: str) -> None:
    """As if its power was cut: launcher, worker and whatever else runs there."""
    pids = subprocess.run(["ip", "netns", "pids", node], check=True, capture_output=True, text=True).stdout
    for pid in map(int, pids.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_node_is_killed_and_both_go_on(
    nodes: tuple[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shards = make_shards(tmp_path_factory)
    # As one process sees the batch, both nodes together must, so that their losses can be compared.
    settings = {"drop_path": 0.0, "replace_probability": 0.0, "epochs": 8, "save_every": 2}
    folder, alone = tmp_path / "run", tmp_path / "alone"
    line = command(folder, config(shards, **settings), "--resume")
    running = launch(nodes, line, 29_511)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "metrics.jsonl").exists() or max(metrics(folder), default=0) < 4:
            assert time.monotonic() < deadline
            assert all(process.poll() is None for process in running), [one.communicate()[1] for one in running]
            time.sleep(0.02)
        kill_all_of(nodes[1])
        _, err = running[0].communicate(timeout=90)
        assert running[0].returncode != 0
        assert "another process of this run is gone" in err
        assert "start the run again on all nodes, with --resume" in " ".join(err.split())
        step = read_file(folder / CHECKPOINT)["step"]
        assert 2 <= step < 16

        running = launch(nodes, line, 29_512)
        with ThreadPoolExecutor(2) as both:  # torchrun's launchers wait for each other's end, up to five minutes
            told = list(both.map(lambda one: one.communicate(timeout=400)[1], running))
        assert [process.returncode for process in running] == [0, 0], told
    finally:
        for node in nodes:
            kill_all_of(node)
    assert sorted(metrics(folder)) == list(range(1, 17))
    train(alone, config(shards, part_size=8, **settings))
    np.testing.assert_allclose(losses(metrics(folder)), losses(metrics(alone)), rtol=1e-3)
