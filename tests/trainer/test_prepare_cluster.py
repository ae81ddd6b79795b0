"""Shards made on a Ray cluster of two nodes on this machine, whose workers and nodes are killed meanwhile."""

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from asit_edge.errors import WrongUse
from tests.conftest import ROOT, require
from tests.trainer.commands import call
from trainer.data.shards.index import INDEX, read_index
from trainer.prepare import prepare
from trainer.run.cluster import OnMachine

RECORDINGS, PER_SHARD = 18, 2
SHARDS = RECORDINGS // PER_SHARD
SECONDS = 15.0
"""Of a recording: long enough for a shard to be in the making when something is killed."""


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of noise and two files that cannot be used."""
    folder = tmp_path_factory.mktemp("audio")
    noise = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * 16_000)).astype(np.float32)
    for number in range(RECORDINGS - 2):
        soundfile.write(folder / f"{number:02d}.wav", np.roll(noise, 997 * number), 16_000)
    (folder / "broken.mp3").write_bytes(b"this is not audio" * 100)
    (folder / "empty.wav").touch()
    return folder


@pytest.fixture(scope="module")
def alone(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards as one machine makes them."""
    out = tmp_path_factory.mktemp("alone")
    prepare(audio, out, per_shard=PER_SHARD, workers=2)
    return out


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    require(find_spec("ray") is not None, "the Python package ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_DISABLE_IMPORT_WARNING", "1")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=node)
        try:
            made.add_node(num_cpus=1, object_store_memory=80_000_000)
            yield made
        finally:
            made.shutdown()


def begin(audio: Path, out: Path, cluster: Any) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "trainer.prepare", audio, out, "--per-shard", PER_SHARD, "--ray", cluster.address]
    return subprocess.Popen(list(map(str, line)), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_shards(out: Path, count: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.tar"))) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)


def kill_a_writer(out: Path, process: "subprocess.Popen[str]", but: int = 0) -> int:
    """Kills a worker of the cluster that is writing a shard, which the name of what it writes says; not that one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        for part in out.glob("*.tar.part"):
            writer = int(part.name.split(".")[-3].rpartition("-")[2])
            with contextlib.suppress(psutil.NoSuchProcess):
                if writer != but and "ray::" in " ".join(psutil.Process(writer).cmdline()):
                    os.kill(writer, signal.SIGKILL)
                    return writer
        time.sleep(0.002)
    raise AssertionError("nobody writes a shard")


def reasons(out: Path) -> list[tuple[str, str]]:
    with (out / "report.csv").open(newline="") as file:
        return [(row["name"], row["reason"]) for row in csv.DictReader(file)]


def test_what_is_killed_loses_nothing(audio: Path, alone: Path, tmp_path: Path, cluster: Any) -> None:
    """The command, then two workers, then a node: the shards are those of one machine."""
    out = tmp_path / "out"
    process = begin(audio, out, cluster)
    wait_for_shards(out, 2, process)
    process.kill()
    process.wait()
    made = {path: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert not (out / INDEX).exists()

    process = begin(audio, out, cluster)
    kill_a_writer(out, process, but=kill_a_writer(out, process))
    wait_for_shards(out, len(made) + 2, process)
    cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
    said, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "corrupt 1" in said
    assert "empty 1" in said
    assert f"{SHARDS} of {SHARDS} shards; left out: " in err
    assert "corrupt 1" in err.splitlines()[-1]

    assert all(path.stat().st_mtime_ns == when for path, when in made.items()), "a finished shard is not made again"
    ours, theirs = sorted(out.glob("*.tar")), sorted(alone.glob("*.tar"))
    assert [path.name for path in ours] == [path.name for path in theirs]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(ours, theirs, strict=True))
    assert reasons(out) == reasons(alone)
    index = read_index(out)
    assert index is not None
    index.check(thoroughly=True)
    assert len(index.names) == SHARDS
    assert not [file.name for file in out.iterdir() if file.suffix == ".part" or file.name.startswith(".")]


def test_no_cluster_is_said_in_one_line(audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require(find_spec("ray") is not None, "the Python package ray")
    assert call("trainer.prepare", prepare, audio, tmp_path, "--ray", "127.0.0.1:9") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("trainer.prepare: error: --ray 127.0.0.1:9: ")
    assert "ray start --head" in line


def test_a_machine_that_does_not_see_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=f"{socket.gethostname()}: does not see {tmp_path}"):
        OnMachine(str, tmp_path / "marker", "token", patience=0.0)(1)
    (tmp_path / "marker").write_text("another")
    with pytest.raises(WrongUse, match="does not see"):
        OnMachine(str, tmp_path / "marker", "token", patience=0.0)(1)
    (tmp_path / "marker").write_text("token")
    assert OnMachine(str, tmp_path / "marker", "token")(1) == "1"
