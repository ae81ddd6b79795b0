"""Teachers of every kind say the same way what they hear, and are asked once."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.frontend import FrontEnd
from tests.conftest import require, tones
from trainer.data.audioset import audioset_ids
from trainer.data.decode import decode, load_waveforms
from trainer.data.recording import Recording
from trainer.models.mobilenet import MobileNet
from trainer.teachers.efficientat import EfficientAt
from trainer.teachers.stored_scores import KEPT, read_teacher_scores, write_teacher_scores
from trainer.teachers.teacher import open_teacher, score_recording, teacher_scores

RATE = 16_000


def recordings(folder: Path, *sounds: np.ndarray) -> list[Recording]:
    found = []
    for number, samples in enumerate(sounds):
        soundfile.write(folder / f"{number}.flac", samples, RATE)
        found.append(Recording(folder / f"{number}.flac", group=f"set/{number}", name=f"set/{number}.flac"))
    return found


def write_foreign(path: Path, bias: float, output: str = "probabilities") -> Path:
    """A model over windows of 50 frames: the mean of all bins, plus a bias, for two labels."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axis"], ["column"]),
        helper.make_node("Add", ["column", "bias"], ["logits"]),
        *([helper.make_node("Sigmoid", ["logits"], ["y"])] if output == "probabilities" else []),
    ]
    last = "y" if output == "probabilities" else "logits"
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 50, 128])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["batch", 2])],
        [
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.float32([bias, -bias]), "bias"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    declared = {"front_end": FrontEnd().model_dump(), "frames": 50, "labels": ["Dog", "Rain"], "output": output}
    path.with_suffix(".yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    return path


def test_what_was_written_is_read_and_what_was_not_kept_is_zero(tmp_path: Path) -> None:
    labels = list(audioset_ids())[:100]
    windows = [np.random.default_rng(seed).random((seed + 1, 100)).astype(np.float32) for seed in range(3)]
    write_teacher_scores(tmp_path / "t.npz", ["a", "b", "c"], windows, labels, 1.0, 0.25)
    stored = read_teacher_scores(tmp_path / "t.npz")
    assert (stored.names, stored.window, stored.hop) == (["a", "b", "c"], 1.0, 0.25)
    dense = stored.windows(2, labels)
    assert dense.shape == (3, 100)
    lowest = np.sort(windows[2], axis=1)[:, -KEPT]
    kept = windows[2] >= lowest[:, None]
    assert np.abs(dense - np.where(kept, windows[2], 0)).max() < 1e-3
    assert np.array_equal(stored.windows(2, ["Nothing", labels[7]])[:, 1], dense[:, 7])
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(AsitEdgeError, match=r"bad\.npz: not a file of teacher probabilities"):
        read_teacher_scores(tmp_path / "bad.npz")


def test_a_foreign_model_is_asked_once_with_the_front_end_that_it_declares(tmp_path: Path) -> None:
    found = recordings(tmp_path, tones((500, 1.3)), tones((0, 0.2)))
    waveforms = load_waveforms(found, RATE, tmp_path / "waveforms")
    results = []
    for output in ("probabilities", "logits"):
        source = write_foreign(tmp_path / f"{output}.onnx", 0.5, output)
        results.append(teacher_scores(source, found, waveforms, RATE, tmp_path / "cache"))
    assert np.allclose(results[0].prob, results[1].prob, atol=2e-3)
    # 1.3 s is covered by three windows of 0.515 s every 0.5 s, 0.2 s by one.
    assert np.diff(results[0].start).tolist() == [3, 1]
    source = tmp_path / "logits.onnx"
    files = list((tmp_path / "cache").iterdir())
    before = [file.stat().st_mtime_ns for file in files]
    teacher_scores(source, found, waveforms, RATE, tmp_path / "cache")
    assert [file.stat().st_mtime_ns for file in files] == before
    write_foreign(source, 0.9, "logits")
    changed = teacher_scores(source, found, waveforms, RATE, tmp_path / "cache")
    assert not np.allclose(changed.prob, results[1].prob, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda declared: declared.pop("frames"), "key 'frames' is missing"),
        (lambda declared: declared.update(labels=["Dog"]), r"gives \(2,\) scores a window, 1 labels declared"),
        (lambda declared: declared.update(frames=40), r"does not take \(batch, frames, mels\)"),
        (None, r"needs x\.yaml beside it"),
    ],
)
def test_a_foreign_model_that_is_declared_wrongly_is_named(tmp_path: Path, change: object, message: str) -> None:
    source = write_foreign(tmp_path / "x.onnx", 0)
    declared = yaml.safe_load(source.with_suffix(".yaml").read_text(encoding="utf-8"))
    if callable(change):
        change(declared)
        source.with_suffix(".yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")
    else:
        source.with_suffix(".yaml").unlink()
    with pytest.raises(AsitEdgeError, match=message):
        score_recording(open_teacher(source), tones((500, 1)), RATE)


def test_bundles_teach_window_or_stream(tone_bundle: Path, tone_stream: Path) -> None:
    for bundle in (tone_bundle, tone_stream):
        teacher = open_teacher(bundle)
        scores = score_recording(teacher, tones((0, 2), (3000, 2), (0, 2)), RATE)
        assert scores.shape == (9, 2)
        assert scores[0].max() < 0.5
        assert scores[4, 1] > 0.5 > scores[4, 0]


def test_efficientat_loads_its_state_dicts_and_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(MobileNet(0.5, 527).state_dict(), tmp_path / "mn05.pt")
    teacher = open_teacher(tmp_path / "mn05.pt")
    scores = score_recording(teacher, tones((500, 3)), RATE)
    assert scores.shape == (3, 527)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(AsitEdgeError, match="not a state dict of an EfficientAT MobileNet"):
        open_teacher(tmp_path / "other.pt")
    torch.save(MobileNet(0.4, 10).state_dict(), tmp_path / "ten.pt")
    with pytest.raises(AsitEdgeError, match="has 10 classes, AudioSet has 527"):
        open_teacher(tmp_path / "ten.pt")


def test_efficientat_gives_the_published_probabilities(shared_data: Path) -> None:
    """Stored ones, made with its authors' code."""
    teacher = EfficientAt(shared_data / "teachers" / "efficientat_mn04_as_mAP_432.pt")
    stored = read_teacher_scores(shared_data / "teachers" / "mn04_top32.npz")
    for row in (0, 400):
        rows = slice(stored.start[row], stored.start[row + 1])
        samples = decode(shared_data / stored.names[row], teacher.rate)
        padded = np.pad(samples, (0, teacher.window))
        windows = np.lib.stride_tricks.sliding_window_view(padded, teacher.window)[:: teacher.hop]
        scores = teacher.score(np.ascontiguousarray(windows[: stored.start[row + 1] - stored.start[row]]))
        kept = np.take_along_axis(scores, stored.index[rows].astype(int), axis=1)
        assert np.abs(kept - stored.prob[rows]).max() < 1e-3
        assert kept.max() > 0.3


def test_yamnet_hears_a_baby(shared_data: Path) -> None:
    try:
        import ai_edge_litert  # noqa: F401
    except ImportError:
        require(False, "the package ai-edge-litert")
    teacher = open_teacher(shared_data / "teachers" / "yamnet.tflite")
    scores = score_recording(teacher, decode(shared_data / "demo" / "BabyCry.flac", RATE), RATE)
    assert scores.shape[1] == 521
    assert scores.max(axis=0)[teacher.labels.index("Baby cry, infant cry")] > 0.5


def test_yamnet_without_its_class_map_is_explained(tmp_path: Path) -> None:
    (tmp_path / "yamnet.tflite").write_bytes(b"no")
    with pytest.raises((AsitEdgeError, WrongUse), match=r"yamnet\.tflite: (cannot be used|TFLite models need)"):
        open_teacher(tmp_path / "yamnet.tflite")
