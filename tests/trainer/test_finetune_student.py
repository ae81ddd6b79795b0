"""Own sounds begin with a distilled student: a stream comes out, and portable weights are what it can begin from."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile
import torch

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.bundle import StreamModel, load_bundle
from asit_edge.model.frontend import FrontEnd
from export.weights import main as export_weights
from tests.conftest import RATE, tones
from tests.trainer.commands import call, run
from trainer.data.decode import decode
from trainer.evaluation.scoring import open_model
from trainer.finetune import main
from trainer.finetuning.checkpoint import load_finetuned, new_network
from trainer.finetuning.loop import begin
from trainer.finetuning.recipes import EVERYDAY_STUDENT, RECIPES, configure, student_recipe
from trainer.models.finetuned import StreamNetwork
from trainer.models.streaming_vit import Stage, StreamConfig
from trainer.run.checkpoint import load_checkpoint, read_content, save_checkpoint
from trainer.run.optimisation import layered_groups
from trainer.students.config import CNN, DistillConfig
from trainer.students.student import STUDENT, is_student, load_student, new_student

MODEL = StreamConfig(stages=(Stage(16, 1, 2, 4), Stage(32, 1, 2, 6)), stem=(4, 4, 8), chunk=3, activation="relu")
LABELS = ["Bell", "Rain"]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a student of Bell and Rain that has learnt nothing, as `trainer.distill` leaves it."""
    path = tmp_path_factory.mktemp("student") / "student.pt"
    config = DistillConfig(model=asdict(MODEL), initial="/home/me/secret/earlier.pt")
    torch.manual_seed(0)
    weights = new_student(config, 2).state_dict()
    content: dict[str, Any] = {"config": config.plain(), "labels": LABELS, "model": weights, "raw": weights}
    save_checkpoint(path, STUDENT, {**content, "projection": None, "optimiser": {"state": {}}, "step": 7})
    return path


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("my-sounds")
    for name, frequency in (("Bell", 2500), ("Kettle", 300), ("_other", 900)):
        for recording in range(8):
            folder = root / name / f"recording{recording}"
            folder.mkdir(parents=True)
            clip = tones((0, 0.4), (frequency + 20 * recording, 0.9), (0, 0.2))
            soundfile.write(folder / "0.wav", clip, RATE)
    return root


def test_the_shipped_student_learns_own_sounds_and_stays_a_stream(sounds: Path, tmp_path: Path) -> None:
    done = run(
        *["trainer.finetune", "folder", "--data", sounds, "--out", tmp_path / "out", "--steps", "20"],
        *["--batch", "8", "--threads", "1", "--set", "frames=128", "--set", "evaluations=2"],
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "results.json").read_text())["runs"]["test"]["0"]
    assert record["map"] > 0.9, done.stderr  # chance is about a third
    assert record["thresholds"]
    assert record["negatives"] == 3118
    assert max(record["taken_for"].values()) < 100
    said = ", ".join(f"{label} {count}" for label, count in record["taken_for"].items())
    assert f"test: of 3,118 other sounds that come with the model it would take for {said}" in done.stdout
    checkpoint, bundle = tmp_path / "out" / "test.pt", tmp_path / "bundle"
    exported = run("export.bundle", checkpoint, bundle, "--golden-tries", "8")
    assert exported.returncode == 0, exported.stderr
    manifest = load_bundle(bundle).manifest
    assert isinstance(manifest.model, StreamModel)
    assert [label.name for label in manifest.labels] == ["Bell", "Kettle"]
    assert manifest.labels[0].on_threshold == record["thresholds"]["Bell"][0]
    clip = decode(sounds / "Bell" / "recording0" / "0.wav", RATE)
    ours, theirs = (open_model(path).timeline(clip) for path in (checkpoint, bundle))
    assert np.abs(ours.scores - theirs.scores).max() < 1e-4
    again = run("trainer.evaluate", checkpoint, sounds, "--json", "--threads", "1")
    assert json.loads(again.stdout)["parts"]["test"]["map"]["value"] == pytest.approx(record["map"])


def test_it_begins_with_what_it_knows_of_the_labels(student: Path) -> None:
    config = configure("folder", None, student, None, {}, [])
    model = new_network(config, 2)
    assert isinstance(model, StreamNetwork)
    begin(model, student, ["Kettle", "Bell"])
    earlier = load_student(student)[0].state_dict()
    ours = model.student.state_dict()
    assert torch.equal(ours["frame_head.weight"][1], earlier["frame_head.weight"][0])
    assert ours["frame_head.bias"][0] == -4
    assert torch.equal(ours["blocks.0.attn.qkv.weight"], earlier["blocks.0.attn.qkv.weight"])


def test_what_a_folder_begins_with(student: Path) -> None:
    usual = configure("folder", None, None, None, {}, [])
    assert (usual.initial, usual.frozen, usual.negatives) == (str(EVERYDAY_STUDENT), True, True)
    assert not configure("folder", None, None, None, {}, [], negatives=False).negatives
    assert not configure("folder", None, None, None, {}, ["frozen=false"]).negatives
    for recipe, size in (("detector", None), (None, "nano")):
        plain = configure("folder", recipe, None, size, {}, [])
        assert plain.initial is None
        assert plain.student is None
    assert configure("esc50", None, None, None, {}, []).initial is None
    own = configure("folder", None, student, None, {"learning_rate": 0.1}, ["layer_decay=1"])
    assert own.stream == MODEL
    assert (own.frames, own.slots) == (624, 39)  # whole chunks of 0.48 s
    assert (own.learning_rate, own.layer_decay) == (0.1, 1.0)
    assert not own.negatives  # embeddings of another body


def test_wrong_use(student: Path, tmp_path: Path) -> None:
    with (
        mock.patch("trainer.finetuning.recipes.EVERYDAY_STUDENT", tmp_path / "gone"),
        pytest.raises(WrongUse, match="gone: is in"),
    ):
        configure("folder", None, None, None, {}, [])
    with pytest.raises(WrongUse, match="leave out --size"):
        configure("folder", None, student, "nano", {}, [])
    with pytest.raises(WrongUse, match="leave out --size and --recipe"):
        configure("folder", "detector", student, None, {}, [])
    with pytest.raises(WrongUse, match="frames 64: must be a multiple of 48"):
        configure("folder", None, student, None, {}, ["frames=64"])
    with pytest.raises(WrongUse, match="they need frozen=true"):
        configure("folder", None, None, None, {}, ["frozen=false", "negatives=true"])
    for setting in ("frozen=true", "held=2"):
        with pytest.raises(WrongUse, match="only a streaming student has a body"):
            configure("folder", None, None, "nano", {}, [setting])
    with pytest.raises(WrongUse, match="of the student that a folder begins with"):
        configure("folder", None, student, None, {}, ["frozen=true", "negatives=true"])
    with pytest.raises(WrongUse, match="with a frame head and loss bce"):
        configure("esc50", None, student, None, {"head": "clip"}, [])
    with pytest.raises(WrongUse, match="CNN"):
        student_recipe(DistillConfig(size=CNN))
    save_checkpoint(tmp_path / "broken.pt", STUDENT, {**read_content(student), "config": {"size": "nano"}})
    with pytest.raises(AsitEdgeError, match="another version"):
        configure("folder", None, tmp_path / "broken.pt", None, {}, [])


def test_deeper_layers_of_a_student_learn_more_slowly() -> None:
    model = StreamNetwork(MODEL, 2, FrontEnd())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    scales: dict[str, Any] = {}
    for group in layered_groups(model, 0.5):
        parameters: Any = group["params"]
        scales |= {names[id(parameter)]: group["scale"] for parameter in parameters}
    assert scales["student.frame_head.weight"] == scales["student.norm.weight"] == 1
    assert scales["student.blocks.1.mlp.fc1.weight"] == 0.5
    assert scales["student.blocks.0.mlp.fc1.weight"] == 0.25
    for name in ("frequency_embed", "merges.0.proj.weight", "patch_embed.convolutions.0.weight"):
        assert scales[f"student.{name}"] == 0.125


# Weights to give away


def test_portable_weights_are_the_checkpoint_in_half_precision(
    student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given" / "student.safetensors"
    assert call("export.weights", export_weights, student, file) == 0
    assert "2 labels" in capsys.readouterr().out
    assert is_student(file)
    exact, given = load_student(student), load_student(file)
    assert json.dumps(given[1].plain()) == json.dumps(replace(exact[1], initial="earlier.pt").plain())
    assert given[2:] == exact[2:]
    for key, value in exact[0].state_dict().items():
        assert torch.equal(given[0].state_dict()[key], value.half().float()), key
    assert b"secret" not in file.read_bytes()
    assert not {"raw", "optimiser", "projection"} & read_content(file).keys()
    assert file.stat().st_size < student.stat().st_size / 2
    # It can be given away again, and begun from like any other.
    assert call("export.weights", export_weights, file, tmp_path / "again.safetensors") == 0
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()
    assert configure("folder", None, file, None, {}, []).stream == MODEL


def test_a_fine_tuned_model_can_be_given_away(sounds: Path, student: Path, tmp_path: Path) -> None:
    words = ["--data", sounds, "--out", tmp_path, "--initial", student, "--steps", "2", "--batch", "2"]
    more = ["--set", "frames=48", "--set", "evaluations=1"]
    assert call("trainer.finetune", main, "folder", *words, *more) == 0
    assert call("export.weights", export_weights, tmp_path / "test.pt", tmp_path / "test.safetensors") == 0
    exact, given = load_finetuned(tmp_path / "test.pt"), load_finetuned(tmp_path / "test.safetensors")
    assert given[2] == exact[2]
    assert given[3] == exact[3]
    assert isinstance(given[0], StreamNetwork)


@pytest.mark.parametrize(
    ("name", "message"), [("out.pt", "must end in .safetensors"), ("out.safetensors", "no labels to give away")]
)
def test_what_cannot_be_given_away(name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path / "pretraining.pt", "pretrain", {"config": {}})
    assert call("export.weights", export_weights, tmp_path / "pretraining.pt", tmp_path / name) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("weights", "fold", "labels"),
    [(EVERYDAY_STUDENT, None, 360), (EVERYDAY_STUDENT.with_name("asit-stream-nano.safetensors"), 5, 376)],
)
def test_the_shipped_weights_say_what_they_are(weights: Path, fold: int | None, labels: int) -> None:
    content = load_checkpoint(weights, STUDENT)
    assert content["config"]["test_fold"] == fold
    assert len(content["labels"]) == labels
    assert not any("/" in str(content["config"][key] or "") for key in ("initial", "live", "features"))
    assert set(RECIPES) >= {"detector"}
