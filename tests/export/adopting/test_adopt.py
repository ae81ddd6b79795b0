"""`export.adopt`: a classifier of others becomes a bundle that everything else takes for one of ours."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
import yaml

from asit_edge.assembly import load_model
from asit_edge.config.root import Config
from asit_edge.detector import Detector
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.onnx import OnnxWindows
from asit_edge.model.bundle import load_bundle
from asit_edge.model.front_ends import Waveform
from asit_edge.model.golden import golden_inputs
from export.adopt import main
from export.adopting.adoption import adopt
from export.adopting.declaration import Declaration
from export.precisions.calibration import calibration_inputs
from tests.conftest import ROOT, tones
from tests.export.adopting.conftest import RATE, SAMPLES, Declare, asked, loudness
from tests.trainer.commands import call
from trainer.evaluation.scoring import open_model


@pytest.fixture
def bundle(declare: Declare, tmp_path: Path) -> Path:
    (tmp_path / "thanks.txt").write_text("Thanks to somebody.\n", encoding="utf-8")
    adopt(declare(notice="thanks.txt"), tmp_path / "out")
    return tmp_path / "out"


def by_hand(samples: np.ndarray) -> np.ndarray:
    """The loudness model's probabilities of windows (n, samples)."""
    logit = 1000 * np.square(samples, dtype=np.float64).mean(axis=1) - 5
    return 1 / (1 + np.exp(-np.stack([logit, -logit], axis=1)))


def test_a_bundle_says_what_was_declared(bundle: Path) -> None:
    manifest = load_bundle(bundle).manifest
    assert (manifest.name, manifest.version, manifest.license) == ("loudness", "1.0", "MIT")
    assert manifest.front_end == Waveform(sample_rate=RATE, hop=100)
    assert (load_bundle(bundle).window.frames, load_bundle(bundle).window.interval) == (8, 4)
    thresholds = [(label.name, label.id, label.on_threshold, label.off_threshold) for label in manifest.labels]
    assert thresholds == [("Loud", "loud", 0.5, 0.3), ("Quiet", "quiet", 0.9, 0.8)]
    assert (bundle / "NOTICE").read_text(encoding="utf-8") == "Thanks to somebody.\n"
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "license: mit" in card
    assert "A sound event detector of others" in card
    assert card.count("somebody, https://example.org/loudness") == 3
    assert "NOTICE" in card
    assert "last 0.10 s of sound every 0.05 s" in card
    assert "2211.13189" not in card  # it is not ASiT


def test_the_golden_inputs_hold_sounds_that_labels_answer_to(declare: Declare, tmp_path: Path) -> None:
    adopted = adopt(declare(), tmp_path / "out")
    assert adopted.active == ["Loud", "Quiet"]
    inputs = golden_inputs(load_bundle(tmp_path / "out"))
    assert inputs.shape == (8, 8, 100)
    assert not inputs[0].any()
    assert asked("model", "verify", tmp_path / "out").startswith("ok ")


def test_a_stream_in_blocks_of_any_size_scores_as_the_model_does(bundle: Path) -> None:
    samples = tones((0, 0.33), (500, 0.2), (0, 0.2), (300, 0.4), rate=RATE)
    scorer = load_model(Config.model_validate({"model": bundle})).scorer(RATE)
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), 9))
    made = [one for block in np.split(samples, cuts) for one in scorer.push(block)]
    interval = SAMPLES // 2
    heard = np.concatenate((np.zeros(SAMPLES - interval, np.float32), samples))
    windows = np.lib.stride_tricks.sliding_window_view(heard, SAMPLES)[::interval]
    assert [(one.start, one.end) for one in made] == [(n * interval, (n + 1) * interval) for n in range(len(windows))]
    scores = np.stack([one.scores for one in made])
    assert np.array_equal(scores, OnnxWindows(load_bundle(bundle)).score(windows.reshape(-1, 8, 100).copy()))
    assert np.abs(scores - by_hand(windows)).max() < 1e-5
    assert scores[:, 0].min() < 0.1
    assert scores[:, 0].max() > 0.9


def test_a_listener_hears_with_it(bundle: Path, tone_file: Path) -> None:
    replayed = [json.loads(line) for line in asked("replay", tone_file, "--model", bundle, "--json").splitlines()]
    loud = [one for one in replayed if one["label"] == "Loud" and one["type"] == "new"]
    seconds = [one["onset_epoch"] - loud[0]["onset_epoch"] for one in loud]
    assert np.abs(np.array(seconds) - [0, 3, 7]).max() < 0.11
    assert "Loud" in asked("tag", tone_file, "--model", bundle)
    assert "80 frames a second, 100 samples each" in asked("model", "info", bundle)
    assert "times real time" in asked("model", "bench", bundle, "--seconds", "0.1", "--batch", "3")
    samples, rate = soundfile.read(tone_file, dtype="float32")
    detector = Detector(bundle)
    events = [*detector.push(samples, rate), *detector.flush()]
    assert {event.label for event in events} == {"Loud", "Quiet"}


def test_the_lab_evaluates_it(bundle: Path) -> None:
    model = open_model(bundle)
    assert model.spec.sample_rate == RATE
    scores = model.clips([tones((500, 1), rate=RATE), tones((0, 1), rate=RATE)])
    assert scores[0, 0] > 0.9 > 0.1 > scores[1, 0]


def test_its_variants_are_calibrated_on_samples(bundle: Path) -> None:
    samples = tones((500, 0.25), rate=RATE)
    inputs = calibration_inputs(load_bundle(bundle), [samples], 4)
    assert np.array_equal(inputs[0]["waveform"].reshape(-1), samples[:SAMPLES])


@pytest.mark.parametrize(
    "shape",
    [["batch", SAMPLES], [1, SAMPLES], [SAMPLES], ["n", "samples"], ["batch", 1, SAMPLES], [1, 1, None]],
    ids=str,
)
def test_windows_go_in_as_the_model_takes_them(shape: list[Any], declare: Declare, tmp_path: Path) -> None:
    adopt(declare(loudness(shape=shape)), tmp_path / "out")
    windows = np.stack([level * np.ones(SAMPLES, np.float32) for level in (0.0, 0.05, 0.08, 0.2)])
    scores = OnnxWindows(load_bundle(tmp_path / "out")).score(windows.reshape(4, 8, 100))
    assert np.abs(scores - by_hand(windows)).max() < 1e-5


def log_mel_input(frames: int = 64, **changes: Any) -> dict[str, Any]:
    return {"input": {"type": "log_mel", "frames": frames, **changes}, "interval": 0.16, "output": "probabilities"}


def test_a_log_mel_model_takes_our_front_end(tone_bundle: Path, declare: Declare, tmp_path: Path) -> None:
    model = onnx.load(tone_bundle / "model.onnx")
    declared = declare(model, **log_mel_input(), labels=["Low tone", "High tone"], thresholds={})
    adopt(declared, tmp_path / "out")
    theirs, ours = load_bundle(tone_bundle), load_bundle(tmp_path / "out")
    assert ours.manifest.front_end == theirs.manifest.front_end
    assert ours.manifest.model == theirs.manifest.model
    windows = golden_inputs(ours)
    scores = OnnxWindows(ours).score(windows)
    assert np.array_equal(scores, OnnxWindows(theirs).score(windows))
    assert scores.max() > 0.5  # an alarm's 3 kHz


def test_log_mel_with_mels_first_is_turned(tone_bundle: Path, declare: Declare, tmp_path: Path) -> None:
    model = onnx.load(tone_bundle / "model.onnx")
    turned = onnx.helper.make_tensor_value_info("mels_first", onnx.TensorProto.FLOAT, ["batch", 1, 128, 64])
    squeeze = onnx.helper.make_node("Squeeze", ["mels_first", "axis"], ["flat"])
    back = onnx.helper.make_node("Transpose", ["flat"], ["log_mel"], perm=[0, 2, 1])
    nodes = [squeeze, back, *model.graph.node]
    del model.graph.node[:], model.graph.input[:]
    model.graph.node.extend(nodes)
    model.graph.input.append(turned)
    adopt(declare(model, **log_mel_input(), labels=["Low tone", "High tone"], thresholds={}), tmp_path / "out")
    windows = golden_inputs(load_bundle(tmp_path / "out"))
    expected = OnnxWindows(load_bundle(tone_bundle)).score(windows)
    assert np.array_equal(OnnxWindows(load_bundle(tmp_path / "out")).score(windows), expected)


HALF = {"type": "waveform", "sample_rate": RATE, "samples": 400}
SLOW = {"type": "waveform", "sample_rate": 500, "samples": 50}
ODD = {"type": "waveform", "sample_rate": 1_600, "samples": 20_007}
WINDOW = "does not go with input.type waveform with a window of"


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (None, {"labels": ["Loud", "Quiet", "Middling"]}, r"gives scores \[1, 2\], and there are 3 labels"),
        (None, {"labels": ["Loud", "loud"], "thresholds": {}}, "labels that are not told apart"),
        (None, {"labels": [], "thresholds": {}}, "labels: list should have at least 1 item"),
        (None, {"labels": ["Loud", ""], "thresholds": {}}, "at least 1 character"),
        (None, {"output": "probabilities"}, "gives values from .* which are no probabilities; declare output: logits"),
        (loudness(logits=False), {}, "look like probabilities already; declare output: probabilities"),
        (None, {"input": HALF}, rf"takes \['\?', 800\], which {WINDOW} 400"),
        (loudness(shape=[3, SAMPLES]), {}, rf"takes \[3, 800\], which {WINDOW} 800"),
        (None, log_mel_input(), r"800\], which does not go with input.type log_mel with a window of 64 x 128"),
        (None, log_mel_input(fft=128), r"yaml:\d+: input: fft \(128\) must be at least the window \(400\)"),
        (None, {"input": SLOW}, r"yaml:\d+: input.sample_rate: .*1000"),
        (None, {"input": {"type": "mfcc"}}, r"yaml:\d+: input: type must be one of 'waveform', 'log_mel', not 'mfcc'"),
        (None, {"interval": 0.2}, r"interval \(0.2 s\) is longer than the window \(0.1 s\)"),
        (None, {"interval": 0.00007}, r"interval \(7e-05 s\) must be a multiple of 0.000125 s, as 0.000125"),
        (None, {"interval": float("inf")}, r"yaml:\d+: interval: must be a finite number"),
        (None, {"input": ODD}, r"interval \(80 samples\) and window \(20007 samples\) have only 1 as a common measure"),
        (None, {"input": {"samples": SAMPLES}}, r"yaml:\d+: key 'input.type' is missing"),
        (None, {"labels": 5}, r"yaml:\d+: labels: must be a list of names, or a file of them"),
        (None, {"thresholds": {"Loud": 0.5}}, r"yaml:\d+: thresholds.Loud: input should be a valid list, not 0.5"),
        (None, {"treshold": 1}, r"yaml:\d+: unknown key 'treshold' \(did you mean 'thresholds'\?\)"),
        (None, {"thresholds": {"Lout": [0.5, 0.4]}}, r"yaml: thresholds: .* no label 'Lout' \(did you mean 'Loud'"),
        (None, {"thresholds": {"Loud": [0.3, 0.4]}}, "thresholds of 'Loud': 0 < off <= on < 1 must hold"),
        (None, {"model_file": "absent.onnx"}, "yaml: model: .*absent.onnx: no such file; paths are from where"),
        (None, {"model_file": "loudness.yaml"}, "must end with one of .onnx, .tflite, .pt"),
        (None, {"labels": "loudness.onnx"}, "loudness.onnx: not a readable text"),
        (loudness(twice=True), {}, "several have one number a label; leave one in the file"),
        (None, {"name": "Loud Ness"}, "name: string should match pattern"),
    ],
)  # fmt: skip
def test_what_is_declared_wrongly_is_refused(
    model: onnx.ModelProto | None,
    changes: dict[str, Any],
    message: str,
    declare: Declare,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = declare(model, **changes)
    with pytest.raises(WrongUse, match=message):
        adopt(file, tmp_path / "out")
    assert call("export.adopt", main, file, tmp_path / "out") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".pt"])
def test_a_file_that_is_no_model_is_refused(
    suffix: str, declare: Declare, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"type": "waveform", "sample_rate": 32_000, "samples": 64_000}
    file = declare(model_file=f"bad{suffix}", input=told)
    (tmp_path / f"bad{suffix}").write_bytes(b"not a model at all" * 9)
    assert call("export.adopt", main, file, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"bad{suffix}: not a" in error


def test_a_model_that_takes_no_batches_is_refused_unless_it_says_so(declare: Declare, tmp_path: Path) -> None:
    model = loudness()
    model.graph.initializer.remove(next(one for one in model.graph.initializer if one.name == "column"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 1], np.int64), "column"))
    with pytest.raises(AsitEdgeError, match="does not take 8 windows at once; export it with a batch of 1"):
        adopt(declare(model), tmp_path / "out")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    adopt(declare(model), tmp_path / "out")


def test_a_model_whose_windows_are_not_alone_is_refused(declare: Declare, tmp_path: Path) -> None:
    model = loudness()
    largest = onnx.helper.make_node("ReduceMax", ["power"], ["largest"], keepdims=1)
    relative = onnx.helper.make_node("Sub", ["power", "largest"], ["relative"])
    nodes = list(model.graph.node)
    nodes[2].input[0] = "relative"
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:2], largest, relative, *nodes[2:]])
    with pytest.raises(AsitEdgeError, match="does not compute what it does on its own"):
        adopt(declare(model), tmp_path / "out")


def test_a_failed_adoption_leaves_the_old_bundle_and_other_folders(
    bundle: Path, declare: Declare, tmp_path: Path
) -> None:
    before = {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert call("export.adopt", main, declare(output="probabilities"), bundle) == 2
    assert before == {file.name: file.read_bytes() for file in bundle.iterdir()}
    (tmp_path / "other").mkdir()
    assert call("export.adopt", main, declare(), tmp_path / "other") == 2
    assert call("export.adopt", main, declare(version="2"), bundle) == 0
    assert load_bundle(bundle).manifest.version == "2"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("map.csv", "index,mid,display_name\n0,/m/a,Loud\n1,/m/b,Quiet\n", ""),
        ("map.csv", "index,mid,display_name\n1,/m/b,Quiet\n0,/m/a,Loud\n", r"map.csv:2: index must be 0, not '1'"),
        ("map.csv", "name\nLoud\nQuiet\n", "map.csv:1: must name its columns, of which one is display_name"),
        ("map.csv", "display_name\nLoud\n\"\"\n", "map.csv:3: a label must have a name"),
        ("labels.txt", "Loud\nQuiet\n\n", ""),
    ],
)  # fmt: skip
def test_labels_come_from_a_class_map_or_a_list(
    name: str, text: str, message: str, declare: Declare, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    if message:
        with pytest.raises(WrongUse, match=message):
            adopt(declare(labels=name), tmp_path / "out")
        return
    adopt(declare(labels=name), tmp_path / "out")
    ids = [label.id for label in load_bundle(tmp_path / "out").manifest.labels]
    assert ids == (["/m/a", "/m/b"] if name == "map.csv" else ["loud", "quiet"])


def test_a_declaration_alone_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(WrongUse, match=r"empty.yaml: key 'name' is missing"):
        adopt(tmp_path / "empty.yaml", tmp_path / "out")
    with pytest.raises(WrongUse, match=r"absent.yaml: cannot be read"):
        adopt(tmp_path / "absent.yaml", tmp_path / "out")


def test_the_page_has_every_key_and_its_example_is_right() -> None:
    text = (ROOT / "docs" / "bring-your-own-model.md").read_text(encoding="utf-8")
    section = text.partition("## The declaration")[2].partition("\n## ")[0]
    table = section.partition("| key | |")[2]
    keys = {
        key for line in table.splitlines() for key in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    assert keys == set(Declaration.model_fields)
    example = Declaration.model_validate(yaml.safe_load(section.partition("```yaml")[2].partition("```")[0]))
    assert example.framing.model.frames == 96
    assert example.framing.front_end.width == 64
