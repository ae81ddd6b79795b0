"""Recipes, splits of a run, whole clips, selection: the parts of fine-tuning that are decided before the first step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asit_edge.errors import WrongUse
from asit_edge.labels import Label
from tests.conftest import tones
from trainer.data.augment import add_noise, roll_frames
from trainer.data.clips.batches import WholeClips
from trainer.data.clips.targets import of_table
from trainer.data.clips.windows import CropConfig, WindowSampler, sounding
from trainer.data.dataset import TEST, TRAIN, VALIDATION, Dataset
from trainer.data.mixing import fitted
from trainer.data.recording import Recording, StrongLabel, TrueEvent
from trainer.evaluation.experiment import summary
from trainer.evaluation.scoring import ScoringModel, checkpoint_model
from trainer.evaluation.selection import choose_thresholds
from trainer.finetuning.checkpoint import new_network
from trainer.finetuning.config import FinetuneConfig, with_settings
from trainer.finetuning.loop import loss_of
from trainer.finetuning.recipes import RECIPES, TASKS, configure
from trainer.finetuning.splits import plan
from trainer.run.average import move
from trainer.run.optimisation import layered_groups, set_rates
from trainer.run.settings import parse_settings

SMALL = FinetuneConfig(size="nano", frames=48)


# Recipes


def test_the_papers_recipes() -> None:
    facts = {
        "audioset-20k": ("bce", 5e-5, 25, 12, 0.5, 48, 192, 6),
        "audioset-2m": ("bce", 1e-5, 5, 12, 0.5, 48, 192, 1),
        "esc50": ("ce", 1e-4, 25, 48, 0.0, 24, 96, None),
        "speech-commands-v1": ("ce", 2.5e-4, 30, 128, 0.6, 48, 48, None),
        "speech-commands-v2": ("ce", 2.5e-4, 30, 128, 0.6, 48, 48, None),
    }
    for task, fact in facts.items():
        own = TASKS[task].recipe
        assert fact == (
            own.loss,
            own.learning_rate,
            own.epochs,
            own.batch,
            own.mixup,
            own.frequency_mask,
            own.time_mask,
            own.average_from,
        ), task
        assert own.size == "base"
    assert RECIPES["audioset-2m"].balanced
    assert RECIPES["speech-commands-v2"].noise > 0
    assert TASKS["voxceleb1"].recipe.learning_rate == 1e-4


def test_the_rate_of_audioset_halves_every_five_epochs_from_the_tenth() -> None:
    config = replace(RECIPES["audioset-20k"], steps=250, warmup=0.0)
    rates = [config.rate_at(epoch * 10, 10) / config.learning_rate for epoch in range(25)]
    assert rates[1:10] == [1.0] * 9
    assert rates[10:15] == [0.5] * 5
    assert rates[15:20] == [0.25] * 5
    assert rates[20:] == [0.125] * 5


def test_settings_change_a_recipe_and_wrong_ones_are_named() -> None:
    config = with_settings(
        SMALL, parse_settings(["learning_rate=1e-4", "batch=8", "crops.gain_db=[-3, 3]", "head=frame"])
    )
    assert (config.learning_rate, config.batch, config.crops.gain_db, config.head) == (1e-4, 8, (-3.0, 3.0), "frame")
    for pairs, message in (
        (["bacth=8"], "did you mean 'batch'"),
        (["batch=many"], "must be like 32"),
        (["batch"], "must be key=value"),
        (["stride=10", "head=frame"], "stride 10: a frame head needs"),
        (["loss=mse"], "loss mse: unknown; known are bce, ce"),
        (["frames=50"], "multiples of 16"),
        (["average_from=2"], "give epochs, not steps"),
        (["validation=1.5"], "shares from 0 to 1"),
    ):
        with pytest.raises(WrongUse, match=message):
            with_settings(SMALL, parse_settings(pairs))


def test_steps_replace_the_epochs_of_a_recipe_unless_it_counts_them() -> None:
    config = configure("esc50", None, None, "nano", {"steps": 7}, [])
    assert (config.epochs, config.steps, config.size, config.loss) == (None, 7, "nano", "ce")
    with pytest.raises(WrongUse, match="this recipe counts epochs"):
        configure("audioset-20k", None, None, None, {"steps": 7}, [])
    with pytest.raises(WrongUse, match="--recipe detektor: unknown.*'detector'"):
        configure("esc50", "detektor", None, None, {}, [])


# Splits


def clips(*rows: tuple[str, str | None]) -> Dataset:
    made = [
        Recording(Path(f"{index}.wav"), (("A", "B")[index % 2],), group, part)
        for index, (group, part) in enumerate(rows)
    ]
    return Dataset("d", made, ["A", "B"])


def test_folds_are_tested_in_turn_and_validated_on_other_recordings() -> None:
    dataset = clips(*((f"r{index // 2}", str(index % 3 + 1)) for index in range(60)))
    dataset = replace(
        dataset, recordings=[replace(clip, group=f"{clip.part}-{clip.group}") for clip in dataset.recordings]
    )
    splits = list(plan(dataset, SMALL, [], False, 0.2))
    assert [split.name for split in splits] == ["fold1", "fold2", "fold3"]
    for split in splits:
        assert {dataset.recordings[index].fold for index in split.test} == {split.fold}
        assert split.fold not in {dataset.recordings[index].fold for index in split.train + split.validation}
        assert split.validation
        groups = [{dataset.groups[index] for index in part} for part in (split.train, split.validation, split.test)]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
        assert sorted(split.train + split.validation + split.test) == list(range(60))


def test_a_publishers_parts_are_kept() -> None:
    dataset = clips(*((f"r{index}", (TRAIN, VALIDATION, TEST)[index % 3]) for index in range(12)))
    (split,) = plan(dataset, SMALL, [], False, 0.2)
    assert [index % 3 for index in split.train] == [0] * 4
    assert [index % 3 for index in split.validation] == [1] * 4
    assert [index % 3 for index in split.test] == [2] * 4


def test_without_parts_it_is_split_by_recording_or_refused() -> None:
    known = clips(*((f"r{index // 3}", None) for index in range(60)))
    (split,) = plan(known, SMALL, [], False, 0.2)
    assert not {known.groups[index] for index in split.train} & {known.groups[index] for index in split.test}
    unknown = replace(known, recordings=[replace(clip, group=None) for clip in known.recordings])
    with pytest.raises(WrongUse, match="--split-by-file"):
        list(plan(unknown, SMALL, [], False, 0.2))
    (forced,) = plan(unknown, SMALL, [], False, 0.2, force=True)
    assert forced.test
    (everything,) = plan(known, replace(SMALL, validation=0.0), [], True, 0.2)
    assert len(everything.train) == 60
    with pytest.raises(WrongUse, match="--test-fold 4: the data has no folds"):
        list(plan(known, SMALL, [4], False, 0.2))


def test_the_summary_has_the_mean_over_folds_and_the_deviation_over_seeds() -> None:
    records = {
        f"fold{fold}": {seed: {"accuracy": 0.5 + 0.1 * fold + 0.02 * seed, "clips": 80} for seed in (0, 1)}
        for fold in (1, 2)
    }
    text = summary(records)
    assert "fold1: accuracy 0.600 0.620 on 80 clips" in text
    assert "mean: accuracy 0.660, deviation over 2 seeds 0.014" in text
    assert summary({"everything": {0: {"data": "d"}}}) == "nothing was tested"


# Whole clips


def test_whole_clips_come_once_an_epoch_and_depend_on_seed_and_number_only() -> None:
    waveforms = [np.full(100, index, np.float32) for index in range(10)]
    made = WholeClips(waveforms, np.eye(10, dtype=np.float32), 80, 5, 4, 0.0, seed=3)
    seen = [int(row[0]) for step in (0, 1) for row in made[step][0]]
    assert sorted(seen) == list(range(10))
    assert all(np.array_equal(made[1][0], made[1][0]) for _ in range(2))
    again = [int(row[0]) for step in (2, 3) for row in made[step][0]]
    assert sorted(again) == list(range(10))
    assert again != seen
    for _, labels, _ in (made[0], made[3]):
        assert labels.sum(axis=1).tolist() == [1.0] * 5


def test_mixup_blends_waveforms_and_labels_alike() -> None:
    waveforms = [np.full(100, float(index), np.float32) for index in range(2)]
    made = WholeClips(waveforms, np.eye(2, dtype=np.float32), 100, 64, 1, 1.0, seed=0)
    mixed, labels, _ = made[0]
    assert mixed[:, 0] == pytest.approx(labels[:, 1], abs=1e-6)
    assert labels.sum(axis=1) == pytest.approx(np.ones(64))
    blended = labels[:, 1][(labels[:, 1] > 0) & (labels[:, 1] < 1)]
    assert 0.3 < blended.mean() < 0.7


def test_clips_are_cut_or_filled_in_the_middle_for_a_test() -> None:
    assert fitted(np.arange(10, dtype=np.float32), 4).tolist() == [3, 4, 5, 6]
    assert fitted(np.ones(2, np.float32), 6).tolist() == [0, 0, 1, 1, 0, 0]
    starts = {fitted(np.arange(10, dtype=np.float32), 4, np.random.default_rng(seed))[0] for seed in range(50)}
    assert starts == set(range(7))


def test_balanced_sampling_draws_rare_classes_as_often() -> None:
    targets = np.repeat(np.eye(2, dtype=np.float32), [90, 10], axis=0)
    weights = of_table(targets).balanced
    assert weights.sum() == pytest.approx(1.0)
    assert weights[:90].sum() == pytest.approx(0.5)


# Strong labels and the frame head


def test_what_sounds_between_edges() -> None:
    edges = np.array([0.0, 0.16, 0.32, 0.48])
    labels = sounding(edges, [TrueEvent(0.2, 0.34, 0), TrueEvent(0.0, 3.0, 1)], 2)
    assert labels[:, 0].tolist() == [0, 1, 0]
    assert labels[:, 1].tolist() == [1, 1, 1]


def test_slots_are_labelled_where_events_are() -> None:
    clip = np.zeros(64_000, np.float32)
    clip[32_000:48_000] = 0.2
    plain = CropConfig(0.0, (0.0, 0.0), 0.0, noise_probability=0.0)
    arguments = ([clip], np.ones((1, 1), np.float32), 16_000, 16_000, plain)
    for events in (None, [[TrueEvent(2.0, 3.0, 0)]]):
        windows, labels = WindowSampler(*arguments, 10, events).batch(50, np.random.default_rng(0))
        assert labels.shape == (50, 10, 1)
        audible = np.abs(windows.reshape(50, 10, 1600)).max(axis=2) > 0.1
        wrong = (labels[:, :, 0] > 0) != audible
        assert wrong.mean() < 0.1  # only slots on the very edge
        assert 0.1 < labels.mean() < 0.6


def test_a_frame_head_scores_every_time_patch_and_hears_what_is_in_it() -> None:
    config = replace(SMALL, head="frame", frames=64)
    model = new_network(config, 3).eval()
    assert model(torch.zeros(2, 64, 128)).shape == (2, 4, 3)
    detector = checkpoint_model("d", model, config, [Label(name=name, id=name) for name in "abc"])
    assert (detector.classifier.chunk, detector.classifier.steps) == (48, 3)
    line = detector.timeline(tones((500, 2.0)))
    assert np.diff(line.edges)[:-1] == pytest.approx(0.16)
    assert line.edges[-1] == pytest.approx(2.0)


def test_patches_may_overlap() -> None:
    config = replace(SMALL, stride=10)
    assert config.backbone.grid == (4, 12)
    assert new_network(config, 2)(torch.zeros(1, 48, 128)).shape == (1, 2)


# Augmentation, optimisation, averaging


def test_rolling_keeps_values_and_noise_stays_in_its_range() -> None:
    generator = torch.Generator().manual_seed(0)
    spectrograms = torch.arange(20.0)[None, :, None].expand(8, 20, 4)
    rolled = roll_frames(spectrograms, 5, generator)
    assert torch.equal(rolled.sort(dim=1).values, spectrograms)
    shifts = {int((first - 0) % 20) for first in rolled[:, 0, 0]}
    assert len(shifts) > 2
    assert all(shift <= 5 or shift >= 15 for shift in shifts)
    noise = add_noise(torch.zeros(16, 20, 4), 0.1, generator)
    assert noise.min() >= 0
    assert 0.05 < noise.max() <= 0.1


def test_deeper_layers_learn_slower() -> None:
    model = new_network(SMALL, 2)
    groups = layered_groups(model, 0.5)
    optimiser = torch.optim.AdamW(groups)
    set_rates(optimiser, 1.0, 0.1)
    rate = {id(parameter): group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    decay = {id(parameter): group["weight_decay"] for group in optimiser.param_groups for parameter in group["params"]}
    assert len(rate) == len(list(model.parameters()))
    assert rate[id(model.head.weight)] == 1.0
    assert rate[id(model.backbone.blocks[5].attn.qkv.weight)] == 0.5
    assert rate[id(model.backbone.blocks[0].attn.qkv.weight)] == 0.5**6
    assert rate[id(model.backbone.pos_embed)] == 0.5**7
    assert decay[id(model.head.weight)] == 0.1
    assert decay[id(model.head.bias)] == 0.0


def test_weights_are_averaged_over_the_ends_of_epochs() -> None:
    config = replace(SMALL, epochs=4, average_from=2)
    averaged = {"w": torch.zeros(1)}
    for step in range(12):  # epochs of three steps; the weights are the step's number
        move(averaged.values(), [torch.tensor([float(step)])], config.share_at(step + 1, 3))
        if step == 2:
            assert averaged["w"].item() == 2.0
    assert averaged["w"].item() == pytest.approx((5 + 8 + 11) / 3)


def test_cross_entropy_and_binary_cross_entropy() -> None:
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.75, 0.25]])
    exclusive = -(labels * logits.log_softmax(dim=1)).sum()
    assert loss_of(logits, labels, replace(SMALL, loss="ce")).item() == pytest.approx(exclusive.item())
    binary = -(labels * logits.sigmoid().log() + (1 - labels) * (1 - logits.sigmoid()).log()).mean()
    assert loss_of(logits, labels, SMALL).item() == pytest.approx(binary.item(), rel=1e-5)


# Thresholds


def test_thresholds_come_from_the_validation_clips(tone_model: ScoringModel) -> None:
    sounds = [tones((0, 0.5), (500, 1), (0, 1)), tones((0, 0.5), (3000, 1), (0, 1)), tones((0, 2))]
    weak = Dataset(
        "v",
        [Recording(Path("a"), ("Low tone",)), Recording(Path("b"), ("High tone",)), Recording(Path("c"), ())],
        ["Low tone", "High tone"],
    )
    on, off = choose_thresholds(tone_model, weak, sounds)["Low tone"]
    heard = [tone_model.timeline(sound).scores[:, 0].max() for sound in sounds]
    assert max(heard[1:]) < on < heard[0]
    assert off == pytest.approx(0.6 * on, abs=1e-3)
    strong = replace(weak, recordings=[
        replace(weak.recordings[0], events=(StrongLabel(0.5, 1.5, "Low tone"),)),
        replace(weak.recordings[1], events=(StrongLabel(0.5, 1.5, "High tone"),)),
        replace(weak.recordings[2], events=()),
    ])  # fmt: skip
    assert 0.2 <= choose_thresholds(tone_model, strong, sounds)["High tone"][0] <= heard[0]
    assert choose_thresholds(tone_model, weak.choose([0, 2]), [sounds[0], sounds[2]]).keys() == {"Low tone"}


@pytest.fixture
def tone_model(tone_bundle: Path) -> ScoringModel:
    from trainer.evaluation.scoring import open_model

    return open_model(tone_bundle)
