"""Golden checks that hear: a label that no longer listens is found, in every precision, and named."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.build import check_loaded, refuse_damaged
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle, bundled, load_bundle
from asit_edge.model.golden import (
    GOLDEN,
    LABEL_ERROR,
    LEAST_SPREAD,
    LOGITS,
    QUICK,
    allowed_for,
    certain_of,
    deviation,
    golden_answers,
    golden_deviation,
    golden_inputs,
    label_errors,
    logits_of,
    never_active,
)
from asit_edge.model.variant import Precision
from bench.damage import damaged, one_channel, random_labels, swapped_caches, zero_labels

SHIPPED = [(name, precision) for name, path in bundled().items() for precision in load_bundle(path).precisions]


@pytest.fixture(scope="module")
def shipped() -> dict[str, Bundle]:
    return {name: load_bundle(path) for name, path in bundled().items()}


@pytest.mark.parametrize("name", bundled())
def test_most_labels_of_a_shipped_bundle_are_active_in_its_golden_inputs(name: str, shipped: dict[str, Bundle]) -> None:
    bundle = shipped[name]
    on = np.array([label.on_threshold for label in bundle.manifest.labels])
    with np.load(bundle.path / GOLDEN) as stored:
        probabilities = 1 / (1 + np.exp(-stored[LOGITS].astype(np.float64)))
    active = (probabilities >= on).any(axis=(0, 1))
    assert active.mean() > 0.6
    silent = [label.name for label, one in zip(bundle.manifest.labels, active, strict=True) if not one]
    assert never_active(bundle) == silent
    assert (bundle.path / "golden-sounds.md").read_text().count("CC-BY-SA 3.0") == 1
    assert (bundle.path / GOLDEN).stat().st_size < 400_000


@pytest.mark.parametrize(("name", "precision"), SHIPPED)
def test_a_shipped_model_is_right_and_every_dead_label_is_found(
    name: str, precision: Precision, shipped: dict[str, Bundle], tmp_path: Path
) -> None:
    """A label whose logits are the same for every sound strays by 1 or more: of every label, without running anything
    again; and by running it, of three."""
    bundle = shipped[name]
    classifier = open_classifier(bundle.at(precision))
    allowed = allowed_for(bundle, precision)
    assert golden_deviation(bundle, classifier).within(allowed)
    right = golden_answers(classifier, golden_inputs(bundle))[0]
    for label in range(right.shape[-1]):
        dead = right.copy()
        dead[..., label] = np.median(right[..., label])
        found = deviation(right, dead)
        assert not found.within(allowed), bundle.manifest.labels[label].name
        assert found.label == label
    rng = np.random.default_rng(1)
    for label in rng.choice(right.shape[-1], 3, replace=False):
        broken = damaged(bundle, precision, lambda m, b, r, one=int(label): zero_labels(m, b, r, [one]), rng, tmp_path)
        with pytest.raises(AsitEdgeError, match="strays by"):
            refuse_damaged(broken, precision, open_classifier(broken))


@pytest.mark.parametrize("damage", [random_labels(70), random_labels(1, 0.2), one_channel, swapped_caches])
def test_other_damages_are_found_too(damage: object, shipped: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = shipped["asit-stream-nano"]
    for precision in bundle.precisions:
        broken = damaged(bundle, precision, damage, np.random.default_rng(0), tmp_path)  # type: ignore[arg-type]
        with pytest.raises(AsitEdgeError, match=r"does not give the bundle's golden scores \(.*; it is damaged"):
            refuse_damaged(broken, precision, open_classifier(broken))


def test_a_quick_look_finds_a_dead_label_on_a_loaded_engine(shipped: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = shipped["asit-stream-nano"]
    classifier = open_classifier(bundle)
    check_loaded(bundle, "fp32", classifier, classifier)
    check_loaded(bundle, "int8", classifier, classifier)
    broken = damaged(bundle, "fp32", random_labels(70), np.random.default_rng(0), tmp_path)
    for precision in LABEL_ERROR:
        with pytest.raises(AsitEdgeError, match="does not compute what it was built for"):
            check_loaded(bundle, precision, open_classifier(broken), classifier)
    assert QUICK <= 4


def test_a_bundle_with_older_golden_scores_is_still_checked(shipped: dict[str, Bundle], tmp_path: Path) -> None:
    path = Path(shutil.copytree(shipped["asit-stream-nano"].path, tmp_path / "bundle"))
    with np.load(path / GOLDEN) as stored:
        np.savez(path / GOLDEN, log_mel=stored["log_mel"], scores=stored["scores"])
    older = Bundle(path, load_bundle(shipped["asit-stream-nano"].path).manifest)
    assert golden_deviation(older, open_classifier(older)).within(allowed_for(older, "fp32"))
    broken = damaged(older, "fp32", random_labels(70), np.random.default_rng(0), tmp_path)
    assert not golden_deviation(older, open_classifier(broken)).within(allowed_for(older, "fp32"))


def test_a_label_that_hardly_varies_is_not_judged_and_no_number_is_infinite() -> None:
    expected = np.float32([[0.5, 0.1], [0.5, 0.9]])
    assert label_errors(expected, expected[:, ::-1])[0] == 0
    broken = expected.copy()
    broken[1, 1] = np.nan
    assert deviation(expected, broken).error == np.inf
    assert deviation(expected, broken).label == 1


def test_what_float32_rounds_is_no_stray_and_a_dead_label_is_also_where_scores_are_tiny() -> None:
    rng = np.random.default_rng(0)
    expected = 1 / (1 + np.exp(rng.uniform(8, 14, (200, 1))))  # nothing above 0.0004
    rounded = expected + rng.uniform(-1e-7, 1e-7, expected.shape)
    assert np.abs(logits_of(rounded) - logits_of(expected)).max() > 0.05
    assert label_errors(expected, rounded)[0] < LABEL_ERROR["fp32"] / 10
    assert label_errors(expected, np.full_like(expected, expected.mean()))[0] > 0.5


def test_of_a_model_that_rounds_within_no_step_of_rounding_is_a_stray_and_a_dead_label_is(
    shipped: dict[str, Bundle], tmp_path: Path
) -> None:
    """Scores in steps of 1/256, as a model's in 8 bits: from its least step to none is far as logits go."""
    bundle = shipped["asit-stream-nano"]
    rounding = bundle.manifest.model_copy(update={"golden_error": 0.08})
    bundle = Bundle(bundle.path, rounding)
    allowed, certain = allowed_for(bundle, "fp32"), certain_of(bundle)
    scores = np.round(golden_answers(open_classifier(bundle), golden_inputs(bundle))[0] * 256) / 256
    moved = np.maximum(scores - 1 / 256, 0)
    assert not deviation(scores, moved).within(allowed)
    assert deviation(scores, moved, certain).within(allowed)
    spread = logits_of(scores, certain).reshape(-1, scores.shape[-1]).std(axis=0)
    judged = np.flatnonzero(spread >= LEAST_SPREAD)
    assert judged.size > scores.shape[-1] / 2
    for label in judged:
        dead = scores.copy()
        dead[..., label] = 0
        found = deviation(scores, dead, certain)
        assert found.label == label
        assert found.label_error > allowed.label_error


def test_golden_arrays_that_do_not_fit_are_named(shipped: dict[str, Bundle], tmp_path: Path) -> None:
    path = Path(shutil.copytree(shipped["asit-stream-nano"].path, tmp_path / "bundle"))
    with np.load(path / GOLDEN) as stored:
        arrays = dict(stored)
    bundle = Bundle(path, load_bundle(shipped["asit-stream-nano"].path).manifest)
    classifier = open_classifier(bundle)
    for name, cut in ((LOGITS, arrays[LOGITS][:, :1]), ("scores", arrays["scores"][:, :5])):
        np.savez(path / GOLDEN, **{**arrays, name: cut})
        with pytest.raises(AsitEdgeError, match=rf"golden\.npz: {name} of shape .* but the model gives"):
            golden_deviation(bundle, classifier)


def test_the_damages_do_change_the_model(shipped: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = shipped["asit-stream-nano"]
    before = onnx.load(str(bundle.model_file)).SerializeToString()
    for damage in (random_labels(1), one_channel, swapped_caches):
        after = damaged(bundle, "fp32", damage, np.random.default_rng(0), tmp_path)
        assert onnx.load(str(after.model_file)).SerializeToString() != before


def test_taught_sounds_are_told_by_the_same_embeddings_in_int8(shipped: dict[str, Bundle]) -> None:
    bundle = shipped["asit-warm-tiny"]
    inputs = golden_inputs(bundle)[:12]
    exact, lowered = (
        golden_answers(open_classifier(bundle.at(precision)), inputs)[1] for precision in ("fp32", "int8")
    )
    assert exact is not None
    assert lowered is not None
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(lowered, axis=1)
    assert ((exact * lowered).sum(axis=1) / lengths).min() > 0.99
