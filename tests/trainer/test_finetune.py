"""From a folder in the ESC-50 layout to a bundle that hears: the lab's commands on a small data set of tones."""

import csv
import json
import math
import re
import shutil
import time
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
import torch

from asit_edge.errors import AsitEdgeError, WrongUse
from tests.trainer.commands import Forked, call, run
from trainer.data.clips.windows import CropConfig
from trainer.data.decode import decode
from trainer.data.layouts.esc50 import read_esc50
from trainer.evaluation.scoring import score_clip
from trainer.evaluation.selection import fast_scores
from trainer.finetune import main as finetune
from trainer.finetuning.checkpoint import load_finetuned
from trainer.finetuning.config import FinetuneConfig
from trainer.finetuning.loop import train
from trainer.finetuning.state import RUNNING
from trainer.models.device import device_classifier
from trainer.models.vit import SIZES, ViT, vit_config
from trainer.run.checkpoint import load_checkpoint, save_checkpoint
from trainer.run.ranks.distributed import Processes

RATE = 16_000
ALONE = Processes(0, 1, torch.device("cpu"))
DETECTOR = ["--recipe", "detector", "--set", "validation=0.25"]


@pytest.fixture(scope="module")
def tone_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of low hums ("rain") and high ones ("dog"), each of forty partials over two octaves."""
    root = tmp_path_factory.mktemp("data") / "tones"
    (root / "meta").mkdir(parents=True)
    (root / "audio").mkdir()
    rng = np.random.default_rng(0)
    with (root / "meta" / "esc10.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["filename", "fold", "target", "category", "src_file"])
        for fold in (1, 2):
            for category, frequency in (("rain", 300), ("dog", 3_000)):
                for take in range(4):
                    name = f"{fold}-{category}-{take}.ogg"
                    time = np.arange(3 * RATE) / RATE
                    partials = frequency * 2 ** rng.uniform(-1, 1, 40)
                    hum = np.sin(2 * np.pi * partials[:, None] * time + rng.uniform(0, 6, (40, 1))).sum(axis=0)
                    soundfile.write(root / "audio" / name, 0.01 * hum, RATE, format="OGG", subtype="VORBIS")
                    table.writerow([name, fold, 0, category, 100 * fold + take])
    return root


@pytest.fixture(scope="module")
def checkpoint(tone_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    done = run(
        *["trainer.finetune", "esc50", "--data", tone_data, "--out", out, "--test-fold", "2", *DETECTOR],
        *["--steps", "12", "--batch", "8", "--threads", "1"],
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"fold2: accuracy [01]\.\d{3} on 8 clips", done.stdout)
    return out / "fold2.pt"


def test_a_checkpoint_becomes_a_bundle_that_hears_the_same(checkpoint: Path, tone_data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "tones"
    done = run("export.bundle", checkpoint, bundle, "--version", "0.3", "--golden-tries", "64")
    assert done.returncode == 0, done.stderr
    assert "tones 0.3, 2 labels" in done.stdout
    evaluated = [run("trainer.evaluate", model, tone_data, "--part", "2", "--json") for model in (checkpoint, bundle)]
    reports = [json.loads(done.stdout) for done in evaluated]
    parts = [report["parts"]["fold2"] for report in reports]
    assert parts[0]["accuracy"] == parts[1]["accuracy"]
    assert parts[0]["confusion"] == parts[1]["confusion"]
    assert np.sum(parts[0]["confusion"]) == 8
    files = [tone_data / "audio" / f"2-{category}-0.ogg" for category in ("rain", "dog")]
    tagged = run("asit_edge", "tag", *files, "--model", bundle, "--json")
    tagged_scores = [
        {entry["label"]: entry["score"] for entry in json.loads(line)["scores"]} for line in tagged.stdout.splitlines()
    ]
    model, config, labels, _ = load_finetuned(checkpoint)
    for file, scores in zip(files, tagged_scores, strict=True):
        expected = score_clip(decode(file, RATE), config.spec, device_classifier(model, config.spec))
        assert scores == pytest.approx(
            {label.name: float(score) for label, score in zip(labels, expected, strict=True)}, abs=1e-3
        )
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "| Dog | `/m/0bt9lr` |" in card


def test_it_learns_to_tell_unseen_clips_apart(tone_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "toy", (32, 2, 2))
    crops = CropConfig(mix_probability=0.0, noise_probability=0.0)
    config = FinetuneConfig(size="toy", frames=48, steps=150, batch=16, learning_rate=3e-3, drop_path=0.0, crops=crops)
    dataset = read_esc50(tone_data)
    clips, targets = dataset.load(RATE), dataset.targets
    folds = np.array([clip.fold for clip in dataset.recordings])
    seen, unseen = np.flatnonzero(folds == 1), np.flatnonzero(folds == 2)
    model = train([clips[index] for index in seen], targets[seen], config, ALONE)
    scores = fast_scores(model, [clips[index] for index in unseen], config, torch.device("cpu"))
    assert (scores.argmax(axis=1) == targets[unseen].argmax(axis=1)).all()


def test_it_begins_with_the_weights_that_it_is_given(
    tone_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "toy", (32, 2, 2))
    given = ViT(vit_config("toy", 96))
    torch.save(
        {"teacher": {f"backbone.{name}": value for name, value in given.state_dict().items()}}, tmp_path / "w.pt"
    )
    config = FinetuneConfig(size="toy", frames=48, steps=1, batch=2, learning_rate=0.0, initial=str(tmp_path / "w.pt"))
    dataset = read_esc50(tone_data)
    model = train(dataset.load(RATE)[:2], dataset.targets[:2], config, ALONE)
    for name, value in model.backbone.state_dict().items():
        assert name == "pos_embed" or torch.allclose(value, given.state_dict()[name]), name


def test_the_same_seed_gives_the_same_weights(tone_data: Path, tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        arguments = [
            "--data",
            tone_data,
            "--out",
            tmp_path / name,
            "--test-fold",
            "1",
            *DETECTOR,
            "--steps",
            "2",
            "--batch",
            "2",
        ]
        assert run("trainer.finetune", "esc50", *arguments, "--threads", "1").returncode == 0
        weights.append(load_checkpoint(tmp_path / name / "fold1.pt", "classifier")["model"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere", "--out", "x"], "no meta/esc50.csv"),
        (["--data", "{data}", "--out", "x", "--test-fold", "4"], "--test-fold 4: the data has folds 1, 2"),
        (["--data", "{data}", "--out", "x", "--size", "huge"], "size huge: unknown; known are nano, tiny"),
    ],
)
def test_wrong_use_is_one_line(tone_data: Path, arguments: list[str], message: str) -> None:
    done = run("trainer.finetune", "esc50", *(argument.format(data=tone_data) for argument in arguments))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("trainer.finetune: error: ")
    assert done.stderr.count("\n") == 1


def test_clips_that_cannot_be_learnt_from_are_left_out_counted_and_named(
    tone_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(shutil.copytree(tone_data, tmp_path / "broken"))
    audio = broken / "audio"
    (audio / "1-dog-0.ogg").write_bytes((audio / "1-dog-0.ogg").read_bytes()[:40])
    soundfile.write(audio / "1-rain-0.ogg", np.zeros(RATE), RATE, format="OGG", subtype="VORBIS")
    soundfile.write(audio / "2-dog-0.ogg", np.full(RATE, np.nan, np.float32), RATE, format="WAV", subtype="FLOAT")
    out = tmp_path / "out"
    arguments = ["esc50", "--data", broken, "--out", out, *DETECTOR, "--steps", "1"]
    assert call("trainer.finetune", finetune, *arguments) == 0
    said = capsys.readouterr()
    assert "3 recordings could not be learnt from; they are named in" in said.out
    skipped = json.loads((out / "results.json").read_text())["skipped"]
    reasons = {Path(name).name: reason for name, reason in skipped.items()}
    assert reasons.keys() == {"1-dog-0.ogg", "1-rain-0.ogg", "2-dog-0.ogg"}
    assert reasons["1-rain-0.ogg"] == "silent"
    assert reasons["2-dog-0.ogg"] == "samples that are not finite"
    assert "cannot be read as audio" in reasons["1-dog-0.ogg"]
    assert all(f"{name}: left out: {reason}" in said.err for name, reason in skipped.items())
    lines = [json.loads(line) for line in (out / "journal" / "fold2" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1]


def test_a_killed_run_goes_on_with_its_settings_only(
    tone_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["esc50", "--data", tone_data, "--out", out, "--test-fold", "2", *DETECTOR, "--steps", "6"]
    arguments += ["--set", "save_every=2", "--set", "frames=48", "--set", "log_every=1", "--set", "evaluations=1"]
    killed = Forked(tmp_path / "said", "trainer.finetune", finetune, *arguments)
    state = out / "fold2.running.pt"
    deadline = time.monotonic() + 60
    while not state.exists() and killed.process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.process.kill()
    killed.process.join()
    if not state.exists():
        pytest.fail("the run came to its end before it could be killed")
    assert call("trainer.finetune", finetune, *arguments, "--lr", "0.5", "--batch", "9") == 2
    said = capsys.readouterr().err
    assert "fold2.running.pt: is another run: " in said
    assert "batch is 32 there and 9 here, learning_rate is 0.001 there and 0.5 here" in said
    assert "delete " in said
    relabelled = Path(shutil.copytree(tone_data, tmp_path / "relabelled"))
    [table] = (relabelled / "meta").glob("*.csv")
    swapped = {"rain": "dog", "dog": "rain"}
    table.write_text(re.sub(r",0,(rain|dog),", lambda found: f",0,{swapped[found[1]]},", table.read_text()))
    assert call("trainer.finetune", finetune, *arguments, "--data", relabelled) == 2
    assert "fold2.running.pt: was begun with other data" in capsys.readouterr().err
    assert call("trainer.finetune", finetune, *arguments) == 0
    assert not state.exists()
    lines = [json.loads(line) for line in (out / "journal" / "fold2" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "validation" in lines[-1]


def test_states_of_epochs_stay(tone_data: Path, tmp_path: Path) -> None:
    arguments = ["esc50", "--data", tone_data, "--out", tmp_path, "--test-fold", "2", *DETECTOR, "--epochs", "3"]
    arguments += ["--set", "keep_every=1", "--set", "frames=48", "--set", "evaluations=1", "--batch", "2"]
    assert call("trainer.finetune", finetune, *arguments) == 0
    kept = sorted((tmp_path / "kept").iterdir())
    assert [file.name for file in kept] == [f"fold2-epoch-000{epoch}.running.pt" for epoch in (1, 2, 3)]
    assert [load_checkpoint(file, RUNNING)["step"] for file in kept] == [3, 6, 9]


def test_a_class_that_is_all_damaged_is_refused(
    tone_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(shutil.copytree(tone_data, tmp_path / "broken"))
    for file in (broken / "audio").glob("*-dog-*.ogg"):
        file.write_bytes(b"no audio")
    assert call("trainer.finetune", finetune, "esc50", "--data", broken, "--out", tmp_path / "out", *DETECTOR) == 2
    assert "no recording of 'Dog' can be learnt from; 8 are left out" in capsys.readouterr().err


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    config = FinetuneConfig(steps=1_000, learning_rate=1.0, warmup=0.1)
    rates = [config.rate_at(step) for step in range(1_000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[100] == pytest.approx(1.0)
    assert rates[550] == pytest.approx(0.5)
    assert rates[-1] < 1e-4
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert all(math.isfinite(FinetuneConfig(steps=steps).rate_at(0)) for steps in (1, 2))


def test_checkpoints_of_another_kind_or_origin_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.pt", "pretraining", {"model": {}})
    with pytest.raises(AsitEdgeError, match="is a 'pretraining' checkpoint, not 'classifier'"):
        load_checkpoint(tmp_path / "a.pt", "classifier")
    torch.save({"model": {}}, tmp_path / "b.pt")
    with pytest.raises(AsitEdgeError, match="not an asit-edge checkpoint"):
        load_checkpoint(tmp_path / "b.pt", "classifier")
    (tmp_path / "c.pt").write_bytes(b"x")
    with pytest.raises(AsitEdgeError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "c.pt", "classifier")
    with pytest.raises(WrongUse, match="no such checkpoint"):
        load_checkpoint(tmp_path / "d.pt", "classifier")


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("attacked",))

    torch.save({"format": "asit-edge/1", "kind": "classifier", "x": Attack()}, tmp_path / "evil.pt")
    with pytest.raises(AsitEdgeError, match="not a readable checkpoint"):
        load_checkpoint(tmp_path / "evil.pt", "classifier")


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    save_checkpoint(path, "classifier", {"step": 1})

    def full(content: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(AsitEdgeError, match="No space left on device"):
        save_checkpoint(path, "classifier", {"step": 2})
    assert load_checkpoint(path, "classifier")["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]
