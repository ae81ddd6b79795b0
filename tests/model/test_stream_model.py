"""Streaming models on the device: caches as a stream's memory, many streams in a batch, bundles that do not fit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from asit_edge.assembly import load_model
from asit_edge.cli.app import app
from asit_edge.config.events import Events
from asit_edge.config.root import Config
from asit_edge.detect.chunker import Scorer
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.onnx import OnnxStream, OnnxWindows
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle, sha256
from tests.conftest import tones


@pytest.fixture
def copy(tone_stream: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tone_stream, tmp_path / "copy"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = yaml.safe_load((bundle / "bundle.yaml").read_text(encoding="utf-8"))
    change(manifest)
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")


def test_the_bundle_says_what_a_step_takes_and_gives(tone_stream: Path) -> None:
    classifier = open_classifier(load_bundle(tone_stream))
    assert isinstance(classifier, OnnxStream)
    assert (classifier.chunk, classifier.steps) == (32, 2)
    scores = classifier.step(np.zeros((3, 32, 128), np.float32), [classifier.open() for _ in range(3)])
    assert scores.shape == (3, 2, 2)


@given(turns=st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=12), seed=st.integers(0, 99))
def test_a_stream_hears_the_same_whoever_is_in_the_batch(tone_stream: Path, turns: list[set[int]], seed: int) -> None:
    classifier = open_classifier(load_bundle(tone_stream))
    rng = np.random.default_rng(seed)
    audio = rng.standard_normal((4, len(turns), 32, 128)).astype(np.float32)
    memories = [classifier.open() for _ in range(4)]
    heard: dict[int, list[np.ndarray]] = {stream: [] for stream in range(4)}
    for turn in turns:
        batch = sorted(turn)
        chunks = np.stack([audio[stream, len(heard[stream])] for stream in batch])
        for stream, scores in zip(batch, classifier.step(chunks, [memories[s] for s in batch]), strict=True):
            heard[stream].append(scores)
    for stream, scores in heard.items():
        memory = classifier.open()
        for place, expected in enumerate(scores):
            alone = classifier.step(audio[stream, place][None], [memory])[0]
            assert np.abs(alone - expected).max() < 1e-6


def test_a_new_stream_has_heard_silence(tone_stream: Path) -> None:
    classifier = open_classifier(load_bundle(tone_stream))
    loud = np.ones((1, 32, 128), np.float32)
    used = classifier.open()
    first = classifier.step(loud, [used])
    second = classifier.step(loud, [used])
    assert np.array_equal(classifier.step(loud, [classifier.open()]), first)
    assert not np.allclose(first, second)


def test_decisions_are_finer_than_chunks(tone_stream: Path) -> None:
    model = load_model(Config(model=tone_stream))
    scorer = model.scorer(16_000)
    audio = tones((0, 1), (500, 1), (0, 1))
    decisions = [*scorer.push(audio), *scorer.flush()]
    assert {decision.end - decision.start for decision in decisions} == {2560}
    low = [decision.start / 16_000 for decision in decisions if decision.scores[0] >= 0.5]
    assert 0.9 <= min(low) <= 1.2
    assert 1.7 <= max(low) <= 2.2


@given(cuts=st.lists(st.integers(1, 20_000), max_size=8))
def test_the_blocks_in_which_audio_comes_do_not_matter(tone_stream: Path, cuts: list[int]) -> None:
    bundle = load_bundle(tone_stream)
    audio = tones((0, 0.5), (3000, 0.7), (0, 0.8))
    classifier = open_classifier(bundle)

    def scores(pieces: list[np.ndarray]) -> np.ndarray:
        scorer = Scorer(bundle.manifest.front_end, classifier, 16_000)
        heard = [decision.scores for piece in pieces for decision in scorer.push(piece)]
        return np.stack(heard + [decision.scores for decision in scorer.flush()])

    places = np.cumsum(cuts)
    assert np.array_equal(scores([audio]), scores(np.split(audio, places[places < len(audio)])))


def test_a_recording_is_replayed_through_it(tone_stream: Path, tone_file: Path) -> None:
    done = CliRunner().invoke(app, ["replay", str(tone_file), "--model", str(tone_stream), "--json"])
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    new = [event for event in events if event["type"] == "new"]
    assert [event["label"] for event in new] == ["Low tone", "High tone", "Low tone"]


def test_another_interval_than_its_chunk_is_wrong_use(tone_stream: Path) -> None:
    load_model(Config(model=tone_stream, events=Events(interval=0.32)))
    with pytest.raises(
        WrongUse, match=r"events.interval \(0.5\): tone-stream is a streaming model and hears every 0.32 s"
    ):
        load_model(Config(model=tone_stream, events=Events(interval=0.5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["files"].pop("initial.npz"), "files must list initial.npz"),
        (lambda m: m["model"].update(steps=3), r"frames \(32\) must be a multiple of steps \(3\)"),
        (lambda m: m["model"].update(steps=4), r"gives scores of shape \(2, 2, 2\), but bundle.yaml"),
        (lambda m: m["model"].update(frames=16), "does not take chunks of shape"),
        (lambda m: m["model"].update(cache={}), r"unknown key 'model\.cache' \(did you mean 'caches'\?\)"),
        (lambda m: m["model"].update(shape="river"), "'river'"),
        (
            lambda m: m["model"]["caches"].update(past=[8, 128]),
            r"past is float32 of shape \[16, 128\], bundle.yaml says",
        ),
        (lambda m: m["model"]["caches"].update(other=[8]), "does not hold the caches that bundle.yaml names"),
        (lambda m: m["model"]["caches"].update(past=[]), "a shape is a list of sizes"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused_by_name(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(copy, change)
    with pytest.raises(AsitEdgeError, match=message) as error:
        open_classifier(load_bundle(copy))
    assert str(copy) in str(error.value)


def test_a_changed_initial_state_is_refused(copy: Path) -> None:
    (copy / "initial.npz").write_bytes(b"no")
    with pytest.raises(AsitEdgeError, match=r"initial\.npz: SHA-256"):
        load_bundle(copy)
    edit(copy, lambda manifest: manifest["files"].update({"initial.npz": sha256(copy / "initial.npz")}))
    with pytest.raises(AsitEdgeError, match=r"initial\.npz: does not hold the caches"):
        open_classifier(load_bundle(copy))


def test_window_and_stream_models_are_not_taken_for_each_other(tone_stream: Path, tone_bundle: Path) -> None:
    with pytest.raises(AsitEdgeError, match="does not score single windows"):
        OnnxWindows(load_bundle(tone_stream))
    with pytest.raises(AsitEdgeError, match="keeps no caches"):
        OnnxStream(load_bundle(tone_bundle))
