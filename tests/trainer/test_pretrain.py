"""The loop as its users meet it: runs that end, are killed or stopped, go wrong, are spread out."""

import getpass
import json
import os
import re
import resource
import signal
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.conftest import require
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
from trainer.pretrain import ENTROPIES, pretrain
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


def test_float16_resumes_exactly_with_its_scaler(shards: Path, tmp_path: Path) -> None:
    fp16 = config(shards, fp16=True, learning_rate=0.005, epochs=3, keep_every=1)

    def go_on(name: str, saved: Path, scale: float | None = None) -> dict[int, dict[str, float]]:
        content = read_file(saved)
        content["scaler"] |= {"scale": scale or content["scaler"]["scale"]}
        (tmp_path / name).mkdir()
        torch.save(content, tmp_path / name / CHECKPOINT)
        return train(tmp_path / name, fp16, resume=True)

    # So small a network has steep gradients: at the usual first scale its steps are left out, and the scale falls.
    begins = train(tmp_path / "begins", fp16)
    scales = [begins[step]["loss scale"] for step in sorted(begins)]
    assert scales[0] == 2.0**15
    assert scales == sorted(scales, reverse=True)
    first = tmp_path / "begins" / "kept" / "epoch-0001.pt"

    learns = go_on("learns", first, scale=4.0)
    assert np.isfinite(losses(learns)).all()
    resumed = go_on("resumed", tmp_path / "learns" / "kept" / "epoch-0002.pt")
    assert losses(resumed) == losses(learns, first=9)
    assert {entry["loss scale"] for entry in resumed.values()} == {4.0}

    beyond = go_on("beyond", first, scale=2.0**40)
    assert beyond[5]["loss scale"] == 2.0**39
    assert not np.isfinite(beyond[5]["gradient norm"]), "this step is left out"


def test_a_student_of_visible_patches_trains_and_gives_a_backbone(shards: Path, tmp_path: Path) -> None:
    visible = make_config("visible", None, {"data": [str(shards)], **TINY, "frames": 64, "mels": 64})
    entries = train(tmp_path, visible)
    assert np.isfinite(losses(entries)).all()
    weights = backbone_weights(tmp_path / CHECKPOINT, visible.backbone)
    assert not [name for name in weights if "decoder" in name]


def test_a_run_is_probed_while_it_trains(shards: Path, whole_run: Path, tmp_path: Path) -> None:
    data = labelled(tmp_path / "labelled")
    entries = train(tmp_path / "run", config(shards, probe_data=str(data), probe_every=1))
    assert [step for step, entry in entries.items() if "probe/linear" in entry] == [4, 8]
    for step in (4, 8):
        assert 0.0 <= entries[step]["probe/linear"] <= 1.0
        assert 0.0 <= entries[step]["probe/neighbours"] <= 1.0
    assert losses(entries) == losses(metrics(whole_run)), "to look changes nothing"
    with pytest.raises(WrongUse, match="no meta/esc50"):
        train(tmp_path / "wrong", config(shards, probe_data=str(tmp_path)))


def labelled(folder: Path) -> Path:
    """Two kinds of hums in ESC-50's layout, three folds."""
    for part in ("audio", "meta"):
        (folder / part).mkdir(parents=True)
    rows = ["filename,fold,target,category,src_file"]
    for number in range(12):
        hum = 0.3 * np.sin(2 * np.pi * (300, 3000)[number % 2] * np.arange(8_000) / 16_000)
        soundfile.write(folder / "audio" / f"{number}.wav", hum, 16_000)
        rows.append(f"{number}.wav,{1 + number % 3},{number % 2},{('rain', 'dog')[number % 2]},{number}")
    (folder / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_snapshot_begins_a_run_with_other_settings(
    shards: Path, whole_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first"
    train(first, config(shards, keep_every=1))
    snapshot = first / "kept" / "epoch-0001.pt"
    capsys.readouterr()

    def begin(name: str, **settings: object) -> dict[int, dict[str, float]]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        with StopRequest() as stopping:
            pretrain(config(shards, **settings), folder, True, ALONE, stopping, snapshot)
        return metrics(folder)

    assert losses(begin("same")) == losses(metrics(whole_run), first=5)
    cooler = begin("cooler", teacher_temperature=0.05)
    assert sorted(cooler) == [5, 6, 7, 8]
    assert losses(cooler) != losses(metrics(whole_run), first=5)
    assert (
        f"state of {snapshot} after step 4; other settings: teacher_temperature 0.07 -> 0.05" in capsys.readouterr().out
    )
    # The same command again, as a queue would give it, goes on with the new run and not with the snapshot.
    assert losses(begin("cooler", teacher_temperature=0.05)) == losses(cooler)
    with pytest.raises(AsitEdgeError, match=r"last_layer\.weight_v"):
        begin("other", prototypes=13)


def test_entropies_are_of_all_parts_of_a_batch(shards: Path, tmp_path: Path) -> None:
    settings = {"drop_path": 0.0, "replace_probability": 0.0, "epochs": 1, "warm_up": 0}
    once = train(tmp_path / "once", config(shards, part_size=8, **settings))
    parts = train(tmp_path / "parts", config(shards, part_size=2, parts=4, **settings))
    for step, entry in once.items():
        for name in ENTROPIES:
            assert parts[step][name] == pytest.approx(entry[name], rel=1e-4), name


def test_weights_and_biases_hears_of_it_only_when_asked(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(find_spec("wandb") is not None, "the Python package wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    train(tmp_path / "quiet", config(shards, epochs=1))
    assert "wandb" not in sys.modules
    assert not (tmp_path / "quiet" / "wandb").exists()
    folder = tmp_path / "told"
    folder.mkdir()
    with StopRequest() as stopping:
        pretrain(config(shards, epochs=1), folder, False, ALONE, stopping, wandb="asit")
    (record,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    content = record.read_bytes()
    assert b"entropy/centre patch" in content
    assert b"prototypes" in content
    assert b"not told" in content
    assert getpass.getuser().encode() + b"@" not in content


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
