"""The linear probe: what it sees of a clip, and that it never chooses by the fold that it is tested on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.frontend import FrontEnd, log_mel
from trainer.data.clips.batches import clip_windows
from trainer.evaluation.frozen import clip_features, log_mel_statistics, neighbours_folds, probe_folds
from trainer.models.pretrained import load_backbone, stored_backbone
from trainer.models.vit import SIZES, ViT, vit_config

SPEC = FrontEnd()


def test_windows_cover_a_clip_by_halves_and_a_short_one_is_filled_with_silence() -> None:
    length, hop = SPEC.samples_for(32), 16 * SPEC.hop
    clip = np.arange(length + 2 * hop, dtype=np.float32)
    windows = clip_windows(clip, SPEC, 32)
    assert [window[0] for window in windows] == [0, hop, 2 * hop]
    assert all(len(window) == length for window in windows)
    (short,) = clip_windows(np.ones(100, np.float32), SPEC, 32)
    assert short[:100].all()
    assert not short[100:].any()


def test_features_are_class_token_and_mean_patch_token_of_each_clip_alone() -> None:
    torch.manual_seed(0)
    backbone = ViT(vit_config("nano", 32)).eval()
    rng = np.random.default_rng(0)
    clips = [0.1 * rng.standard_normal(SPEC.samples_for(count)).astype(np.float32) for count in (32, 64, 16)]
    features = clip_features(backbone, clips, SPEC, batch=2)
    assert features.shape == (3, 256)
    with torch.inference_mode():
        tokens = backbone(torch.from_numpy(log_mel(SPEC, clips[0])[None]))[0]
    expected = torch.cat((tokens[0], tokens[1:].mean(dim=0))).numpy()
    assert features[0] == pytest.approx(expected, abs=1e-5)
    for index in (1, 2):
        assert features[index] == pytest.approx(clip_features(backbone, [clips[index]], SPEC)[0], abs=1e-5)


def test_without_a_network_features_are_mean_and_deviation_of_each_bin() -> None:
    rng = np.random.default_rng(0)
    clips = [0.1 * rng.standard_normal(count).astype(np.float32) for count in (16_000, 100)]
    features = log_mel_statistics(clips, SPEC)
    assert features.shape == (2, 2 * SPEC.mels)
    image = log_mel(SPEC, clips[0])
    assert features[0, :3] == pytest.approx(image[:, :3].mean(axis=0), abs=1e-5)
    assert features[0, SPEC.mels : SPEC.mels + 3] == pytest.approx(image[:, :3].std(axis=0), abs=1e-5)
    assert not np.isnan(features[1]).any()


def test_it_reads_what_is_linear_and_guesses_where_nothing_is() -> None:
    rng = np.random.default_rng(0)
    classes = np.tile(np.arange(4), 60)
    folds = np.repeat([1, 2, 3], 80)
    noise = rng.standard_normal((240, 16)).astype(np.float32)
    assert max(probe_folds(noise, classes, folds).values()) < 0.45
    told = np.concatenate((noise, 3 * np.eye(4, dtype=np.float32)[classes]), axis=1)
    assert min(probe_folds(told, classes, folds).values()) > 0.95


def test_what_a_fold_alone_could_teach_does_not_help_on_it() -> None:
    rng = np.random.default_rng(1)
    classes = np.tile(np.arange(4), 60)
    folds = np.repeat([1, 2, 3], 80)
    features = 0.1 * rng.standard_normal((240, 4)).astype(np.float32)
    features[folds == 2] += np.eye(4, dtype=np.float32)[classes[folds == 2]]
    assert probe_folds(features, classes, folds)[2] < 0.6


def test_neighbours_of_other_folds_tell_what_lies_together() -> None:
    rng = np.random.default_rng(0)
    classes = np.tile(np.arange(4), 60)
    folds = np.repeat([1, 2, 3], 80)
    noise = rng.standard_normal((240, 16)).astype(np.float32)
    assert max(neighbours_folds(noise, classes, folds).values()) < 0.45
    told = 0.2 * noise + np.eye(4, 16, dtype=np.float32)[classes] + 100
    assert min(neighbours_folds(told, classes, folds).values()) > 0.95, "a mean that all share says nothing"
    told[folds == 2] = noise[folds == 2] + 100 * np.eye(4, 16, k=4, dtype=np.float32)[classes[folds == 2]]
    assert neighbours_folds(told, classes, folds)[2] < 0.6, "neighbours of the same fold do not count"
    with pytest.raises(WrongUse, match="neighbours need two folds"):
        neighbours_folds(noise, classes, np.ones(240, np.int64))


def test_two_folds_are_too_few() -> None:
    with pytest.raises(WrongUse, match="needs three folds"):
        probe_folds(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]), np.array([1, 1, 2, 2]))


def test_size_and_length_are_read_from_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vit = ViT(vit_config("nano", 96))
    pretrained = {"teacher": {f"backbone.{name}": value for name, value in vit.state_dict().items()}}
    torch.save(pretrained, tmp_path / "w.pt")
    assert stored_backbone(tmp_path / "w.pt") == ("nano", 96)
    other = ViT(vit_config("nano", 96))
    load_backbone(other, tmp_path / "w.pt")
    assert torch.equal(other.pos_embed, vit.pos_embed)
    monkeypatch.setitem(SIZES, "nano", (128, 5, 4))
    with pytest.raises(AsitEdgeError, match="width 128 and depth 6 is none of"):
        stored_backbone(tmp_path / "w.pt")
