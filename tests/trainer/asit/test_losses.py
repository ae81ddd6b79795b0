"""Each loss against a slow NumPy version that spells the formula out."""

import numpy as np
import pytest
import torch

from trainer.asit.losses import (
    Centre,
    cross_entropy,
    entropy,
    global_loss,
    local_loss,
    reconstruction_loss,
    teacher_probabilities,
    updated_centre,
)

RNG = np.random.default_rng(0)
LOCAL_VIEWS, BATCH, PATCHES, PROTOTYPES = 4, 3, 5, 7


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x)
    return exponentials / exponentials.sum()


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape)


def test_teacher_probabilities_are_centred_and_sharpened() -> None:
    logits, centre = normal(BATCH, PROTOTYPES), normal(PROTOTYPES)
    ours = teacher_probabilities(torch.from_numpy(logits), torch.from_numpy(centre), 0.04)
    for row, expected in zip(ours, logits, strict=True):
        np.testing.assert_allclose(row, softmax((expected - centre) / 0.04), atol=1e-6)


def test_cross_entropy() -> None:
    probabilities, logits = softmax(normal(PROTOTYPES)), normal(PROTOTYPES)
    expected = -sum(p * np.log(q) for p, q in zip(probabilities, softmax(logits / 0.1), strict=True))
    ours = cross_entropy(torch.from_numpy(probabilities), torch.from_numpy(logits), 0.1)
    assert ours.item() == pytest.approx(expected, rel=1e-5)


def test_global_loss_is_the_mean_over_pairs_of_different_views() -> None:
    views = 2 + LOCAL_VIEWS
    teacher = np.stack([[softmax(normal(PROTOTYPES)) for _ in range(BATCH)] for _ in range(2)])
    student = normal(views, BATCH, PROTOTYPES)
    terms = []
    for q in range(2):
        for v in range(views):
            if v != q:
                for b in range(BATCH):
                    terms.append(-(teacher[q, b] * np.log(softmax(student[v, b] / 0.1))).sum())
    ours = global_loss(torch.from_numpy(teacher).float(), torch.from_numpy(student), 0.1)
    assert ours.item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_local_loss_pairs_each_patch_with_itself() -> None:
    teacher = np.stack([[[softmax(normal(PROTOTYPES)) for _ in range(PATCHES)] for _ in range(BATCH)] for _ in "ab"])
    student = normal(2, BATCH, PATCHES, PROTOTYPES)
    terms = [-(teacher[place] * np.log(softmax(student[place] / 0.1))).sum() for place in np.ndindex(2, BATCH, PATCHES)]
    ours = local_loss(torch.from_numpy(teacher).float(), torch.from_numpy(student), 0.1)
    assert ours.item() == pytest.approx(np.mean(terms), rel=1e-5)


def test_reconstruction_loss_sees_masked_places_only() -> None:
    clean, mask = normal(2, BATCH, 6, 8), RNG.random((2, BATCH, 6, 8)) < 0.5
    reconstructed = np.where(mask, clean + normal(*clean.shape), 1e3)
    expected = np.mean(
        [abs(reconstructed[place] - clean[place]) for place in np.argwhere(mask).tolist() for place in [tuple(place)]]
    )
    arguments = torch.from_numpy(reconstructed), torch.from_numpy(clean), torch.from_numpy(mask)
    assert reconstruction_loss(*arguments).item() == pytest.approx(expected, rel=1e-5)
    halved = reconstruction_loss(*arguments, masked=torch.tensor(2 * mask.sum()))
    assert halved.item() == pytest.approx(expected / 2, rel=1e-5)


def test_reconstruction_loss_without_a_mask_is_zero() -> None:
    zeros = torch.zeros(2, 1, 16, 16)
    assert reconstruction_loss(zeros + 1, zeros, zeros.bool()).item() == 0.0


def test_centre_is_a_running_mean_over_batch_and_positions() -> None:
    centre, expected = Centre(PROTOTYPES, momentum=0.9), np.zeros(PROTOTYPES)
    for _ in range(3):
        logits = normal(2, BATCH, PATCHES, PROTOTYPES)
        centre.observe(torch.from_numpy(logits))
        centre.update()
        expected = 0.9 * expected + 0.1 * logits.reshape(-1, PROTOTYPES).mean(axis=0)
    np.testing.assert_allclose(centre.value, expected, atol=1e-6)
    np.testing.assert_allclose(updated_centre(torch.ones(1), torch.zeros(1), 0.75), [0.75])


def test_parts_of_a_batch_move_the_centre_once() -> None:
    logits = torch.from_numpy(normal(2, 6, PROTOTYPES))
    whole, parts = Centre(PROTOTYPES), Centre(PROTOTYPES)
    whole.observe(logits)
    whole.update()
    for part in logits.split(3, dim=1):
        parts.observe(part)
    parts.update()
    torch.testing.assert_close(whole.value, parts.value)


def test_entropy_from_certain_to_uniform() -> None:
    certain, uniform = torch.eye(PROTOTYPES)[0], torch.full((PROTOTYPES,), 1 / PROTOTYPES)
    assert entropy(torch.stack((certain, uniform))).tolist() == pytest.approx([0.0, np.log(PROTOTYPES)])
