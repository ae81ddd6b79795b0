"""The loop as its users meet it: runs that end, are killed or stopped, go wrong, are spread out."""

import json
import os
import re
import resource
import signal
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.pretraining import (
    ALONE,
    TINY,
    command,
    config,
    losses,
    make_shards,
    metrics,
    start,
    train,
    wait_for_step,
)
from trainer.asit.beginning import CHECKPOINT
from trainer.asit.config import make_config
from trainer.models.pretrained import backbone_weights
from trainer.pretrain import pretrain
from trainer.run.checkpoint import read_file
from trainer.run.signals import StopRequest


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory)


@pytest.fixture(scope="module")
def whole_run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    train(folder, config(shards))
    return folder


def test_a_run_leaves_metrics_tensorboard_picture_and_a_loadable_backbone(shards: Path, whole_run: Path) -> None:
    entries = metrics(whole_run)
    assert sorted(entries) == list(range(1, 9))
    assert np.isfinite([list(entry.values()) for entry in entries.values()]).all()
    assert (whole_run / "pictures" / "step-0000008.png").stat().st_size > 1000
    events = EventAccumulator(str(whole_run / "tensorboard")).Reload()
    assert {"loss/total", "entropy/centre class", "gradient norm", "EMA momentum", "clips per second"} <= set(
        events.Tags()["scalars"]
    )
    backbone_weights(whole_run / CHECKPOINT, config(shards).backbone)


def test_the_student_learns_to_reconstruct(shards: Path, tmp_path: Path) -> None:
    entries = train(tmp_path, config(shards, epochs=12, global_weight=0, local_weight=0, warm_up=0, learning_rate=0.1))
    reconstruction = [entry["loss/reconstruction"] for entry in entries.values()]
    assert np.mean(reconstruction[-8:]) < 0.8 * np.mean(reconstruction[:8])


def test_a_killed_run_resumes_in_mid_epoch_to_the_same_losses(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    killed = start(*command(folder, config(shards)))
    wait_for_step(folder, 3, killed)
    killed.kill()
    killed.wait()
    saved = read_file(folder / CHECKPOINT)["step"]
    assert 2 <= saved < 8
    resumed = train(folder, config(shards), resume=True)
    assert losses(resumed) == losses(metrics(whole_run))
    ours, theirs = (read_file(run / CHECKPOINT) for run in (folder, whole_run))
    for network in ("student", "teacher", "centre_class", "centre_patch"):
        for name, value in ours[network].items():
            assert torch.equal(value, theirs[network][name]), f"{network} {name}"


def test_sigterm_to_the_whole_group_saves_and_exits_with_0(shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    endless = config(shards, epochs=500, save_every=10_000, workers=1)
    stopped = start(*command(folder, endless), start_new_session=True)
    wait_for_step(folder, 2, stopped)
    os.killpg(stopped.pid, signal.SIGTERM)
    out, err = stopped.communicate(timeout=60)
    assert stopped.returncode == 0, err
    assert "asked to stop" in out
    assert read_file(folder / CHECKPOINT)["step"] == max(metrics(folder))


def test_workers_change_nothing(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    assert losses(train(tmp_path, config(shards, workers=2))) == losses(metrics(whole_run))


def test_two_processes_give_the_losses_and_centres_of_one(shards: Path, tmp_path: Path) -> None:
    # Dropped paths differ from process to process, and so may the views at hand to replace blocks with.
    settings = {"drop_path": 0.0, "replace_probability": 0.0, "epochs": 1, "warm_up": 0, "frozen_epochs": 0}
    two, at_once, in_parts = tmp_path / "two", tmp_path / "once", tmp_path / "parts"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launched = start(*launcher, *command(two, config(shards, **settings)))
    _, err = launched.communicate(timeout=120)
    assert launched.returncode == 0, err
    train(at_once, config(shards, part_size=8, **settings))
    train(in_parts, config(shards, parts=2, **settings))
    for one in (at_once, in_parts):
        np.testing.assert_allclose(losses(metrics(two)), losses(metrics(one)), rtol=1e-4)
        for centre in ("centre_class", "centre_patch"):
            ours, theirs = (read_file(run / CHECKPOINT)[centre]["value"] for run in (two, one))
            torch.testing.assert_close(ours, theirs)


def test_bfloat16_follows_float32(shards: Path, tmp_path: Path) -> None:
    # At this rate: at that of the other runs so small a network multiplies any difference.
    slow = {"learning_rate": 0.005, "epochs": 2}
    whole = losses(train(tmp_path / "float32", config(shards, **slow)))
    half = losses(train(tmp_path / "bfloat16", config(shards, bf16=True, **slow)))
    np.testing.assert_allclose([entry[:4] for entry in half], [entry[:4] for entry in whole], rtol=0.05)
    assert half != whole


def test_variant_2023_trains(shards: Path, tmp_path: Path) -> None:
    tiny = {**TINY, "patch_prototypes": 6, "epochs": 1}
    folder = tmp_path / "2023"
    entries = train(folder, make_config("2023", None, {"data": [str(shards)], **tiny}))
    for entry in entries.values():
        total = entry["loss/global"] + entry["loss/local"] + 2 * entry["loss/reconstruction"]
        assert entry["loss/total"] == pytest.approx(total, rel=1e-5)
    assert read_file(folder / CHECKPOINT)["centre_patch"]["value"].shape == (6,)


def test_global_views_alone_train(shards: Path, tmp_path: Path) -> None:
    entries = train(tmp_path, config(shards, local_views=0, epochs=1))
    assert all(np.isfinite(entry["loss/total"]) for entry in entries.values())


def test_begins_with_given_weights(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    initial = str(whole_run / CHECKPOINT)
    train(tmp_path, config(shards, initial=initial, epochs=1, learning_rate=1e-30, final_learning_rate=0.0))
    ours, theirs = (backbone_weights(run / CHECKPOINT, config(shards).backbone) for run in (tmp_path, whole_run))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name])


def test_a_loss_that_is_not_finite_stops_with_the_examples_names(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match="the loss is") as caught:
        train(tmp_path, config(shards, learning_rate=1e38, warm_up=0))
    (names,) = tmp_path.glob("not-finite-step-*-rank-0.json")
    assert names.name in str(caught.value)
    assert all(".tar/" in name for name in json.loads(names.read_text())[0])
    assert len(json.loads(names.read_text())[0]) == TINY["part_size"]


def test_a_full_disk_leaves_the_checkpoint_before(shards: Path, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    train(folder, config(shards, epochs=1))
    # Taken back two steps, so that there is something to do and to save.
    torch.save(read_file(folder / CHECKPOINT) | {"step": 2}, folder / CHECKPOINT)
    before = (folder / CHECKPOINT).read_bytes()

    def small_files_only() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    full = start(*command(folder, config(shards, epochs=1), "--resume"), preexec_fn=small_files_only)
    out, err = full.communicate(timeout=60)
    assert full.returncode == 1
    assert err.strip().splitlines()[-1].startswith("trainer.pretrain: error: ")
    assert "cannot be saved" in err
    assert "the checkpoint before it is whole" in err
    assert "Traceback" not in err
    assert (folder / CHECKPOINT).read_bytes() == before
    assert not list(folder.glob("*.part"))
    assert "step 4" in out


def test_checkpoints_of_epochs_stay(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    train(tmp_path, config(shards, epochs=3, keep_every=1))
    kept = sorted((tmp_path / "kept").iterdir())
    assert [(file.name, read_file(file)["step"]) for file in kept] == [
        ("epoch-0001.pt", 4),
        ("epoch-0002.pt", 8),
        ("epoch-0003.pt", 12),
    ]
    # One can go back to them.
    again = tmp_path / "again"
    again.mkdir()
    (again / CHECKPOINT).write_bytes(kept[1].read_bytes())
    assert losses(train(again, config(shards, epochs=3, keep_every=1), resume=True)) == losses(metrics(tmp_path), 9)


def test_resuming_another_run_names_the_difference(shards: Path, whole_run: Path) -> None:
    with pytest.raises(WrongUse, match="prototypes is 12 there and 13 here"):
        pretrain(config(shards, prototypes=13), whole_run, True, ALONE, StopRequest())
    with pytest.raises(WrongUse, match=r"it has .*4\}, this one .*6\}"):
        pretrain(config(shards, part_size=3, parts=2), whole_run, True, ALONE, StopRequest())
    with pytest.raises(WrongUse, match="add --resume"):
        pretrain(config(shards), whole_run, False, ALONE, StopRequest())


def test_initial_weights_of_another_size_are_named(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(AsitEdgeError, match=r"attn.proj.bias: the file has \(128,\), the model needs \(192,\)"):
        train(tmp_path, config(shards, size="tiny", initial=str(whole_run / CHECKPOINT)))


def test_errors_are_one_line_with_an_exit_code(tmp_path: Path) -> None:
    wrong = start("-m", "trainer.pretrain", str(tmp_path / "run"), "--data", str(tmp_path / "absent"))
    _, err = wrong.communicate(timeout=60)
    assert wrong.returncode == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("trainer.pretrain: error: ")
    assert "trainer.prepare" in line


def test_a_wrong_rate_found_by_a_worker_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    soundfile.write(tmp_path / "cd.wav", np.full(44_100, 0.1), 44_100)
    with tarfile.open(tmp_path / "shards" / "a.tar", "w") as tar:
        for number in range(4):
            tar.add(tmp_path / "cd.wav", f"{number}.wav")
    wrong = start(*command(tmp_path / "run", config(tmp_path / "shards", workers=1)))
    _, err = wrong.communicate(timeout=60)
    assert wrong.returncode == 2, err
    assert re.fullmatch(r"trainer\.pretrain: error: a\.tar/\d\.wav: sampled at 44100 Hz, not 16000; .*\n", err)


def test_too_few_examples_for_a_batch(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="18 examples do not fill one batch of 64"):
        train(tmp_path, config(shards, part_size=64))
