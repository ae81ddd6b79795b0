import numpy as np
import pytest
import torch

from trainer.asit.corruption import NOISE_STD, CorruptionConfig, corrupt, draw_plan, paint_blocks

SIZE = (592, 128)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_paint(blocks: np.ndarray, size: tuple[int, int], ratio: float) -> np.ndarray:
    """Section 3, word for word: add blocks until the share is covered."""
    mask = np.zeros(size, bool)
    for top, left, bottom, right in blocks:
        if mask.mean() >= ratio:
            break
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("size", [(37, 8), (96, 64)])
def test_painting_equals_the_loop(size: tuple[int, int]) -> None:
    config = CorruptionConfig(ratio=(0.3, 0.9))
    plan = draw_plan(config, 2, 5, size, generator())
    fast = paint_blocks(plan.blocks.flatten(0, 1), size, plan.ratio.flatten())
    for mask, blocks, ratio in zip(fast, plan.blocks.flatten(0, 1), plan.ratio.flatten(), strict=True):
        np.testing.assert_array_equal(mask.numpy(), slow_paint(blocks.numpy(), size, float(ratio)))


def test_block_statistics_of_section_3() -> None:
    config = CorruptionConfig(replace_probability=0.0)
    clean = torch.ones(2, 40, *SIZE)
    corrupted, mask = corrupt(clean, draw_plan(config, 2, 40, SIZE, generator()), config)
    share = mask.float().mean(dim=(2, 3))
    assert share.min() >= 0.5
    assert share.mean() < 0.52
    patches = mask.unflatten(2, (37, 16)).unflatten(4, (8, 16)).float().mean(dim=(3, 5))
    assert (patches == 1).float().mean() == pytest.approx(0.235, abs=0.02), "fully masked patches"
    assert (patches == 0).float().mean() == pytest.approx(0.235, abs=0.02), "untouched patches"
    assert torch.equal(corrupted, 1 - mask.float())


def test_sides_and_places_of_blocks() -> None:
    plan = draw_plan(CorruptionConfig(), 2, 50, SIZE, generator())
    start, end = plan.blocks[..., :2], plan.blocks[..., 2:]
    sides = (end - start).flatten(0, 2)
    assert sides.min(dim=0).values.tolist() == [1, 1]
    assert sides.max(dim=0).values.tolist() == [int(592 * 0.3) - 1, int(128 * 0.3) - 1]
    assert start.flatten(0, 2).min(dim=0).values.tolist() == [0, 0]
    assert start.flatten(0, 2).max(dim=0).values.tolist() == [592 - 2, 128 - 2]
    assert end.flatten(0, 2).max(dim=0).values.tolist() == list(SIZE)


@pytest.mark.parametrize("ratio", [0.3, 0.7, 0.9])
def test_any_ratio_is_reached(ratio: float) -> None:
    config = CorruptionConfig(ratio=(ratio, ratio), replace_probability=0.0)
    clean = torch.ones(1, 30, 192, 128)
    _, mask = corrupt(clean, draw_plan(config, 1, 30, (192, 128), generator()), config)
    share = mask.float().mean(dim=(2, 3))
    assert ratio <= share.min() < ratio + 0.01
    assert share.max() < ratio + 0.09 + 0.001, "one block at most beyond the ratio"


def test_a_drawn_ratio_differs_from_view_to_view() -> None:
    config = CorruptionConfig(ratio=(0.5, 0.7), replace_probability=0.0)
    plan = draw_plan(config, 2, 100, SIZE, generator())
    assert 0.5 <= plan.ratio.min() < 0.52
    assert 0.68 < plan.ratio.max() <= 0.7


def test_replaced_views_show_one_other_clean_view() -> None:
    config = CorruptionConfig()
    clean = torch.arange(1.0, 41.0).view(2, 20, 1, 1).expand(2, 20, *SIZE).contiguous()
    plan = draw_plan(config, 2, 20, SIZE, generator(1))
    corrupted, mask = corrupt(clean, plan, config)
    assert 0.25 < plan.replaced.float().mean() < 0.75
    for view, example in np.ndindex(2, 20):
        shown = corrupted[view, example][mask[view, example]].unique()
        assert len(shown) == 1
        if plan.replaced[view, example]:
            assert shown.item() == clean.flatten(0, 1)[int(plan.partner[view, example] * 40), 0, 0]
            assert 0.3 <= mask[view, example].float().mean() < 0.4
        else:
            assert shown.item() == 0.0
        untouched = corrupted[view, example][~mask[view, example]]
        assert (untouched == clean[view, example, 0, 0]).all()


def test_noise_has_the_scale_of_the_data_and_repeats() -> None:
    config = CorruptionConfig(fill="noise", replace_probability=0.0)
    clean = torch.zeros(2, 4, *SIZE)
    first, mask = corrupt(clean, draw_plan(config, 2, 4, SIZE, generator()), config)
    second, _ = corrupt(clean, draw_plan(config, 2, 4, SIZE, generator()), config)
    assert first[mask].std().item() == pytest.approx(NOISE_STD, rel=0.02)
    assert torch.equal(first, second)


def test_aligned_blocks_touch_whole_patches() -> None:
    config = CorruptionConfig(aligned=True)
    clean = torch.ones(2, 10, *SIZE)
    _, mask = corrupt(clean, draw_plan(config, 2, 10, SIZE, generator()), config)
    patches = mask.unflatten(2, (37, 16)).unflatten(4, (8, 16)).float().mean(dim=(3, 5))
    assert set(patches.unique().tolist()) == {0.0, 1.0}


def test_a_seed_repeats_the_plan_and_parts_are_parts_of_the_whole() -> None:
    config = CorruptionConfig()
    whole, again, other = (draw_plan(config, 2, 6, SIZE, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(whole.blocks, again.blocks)
    assert not torch.equal(whole.blocks, other.blocks)
    assert torch.equal(whole.part(2, 4).blocks, whole.blocks[:, 2:4])


@pytest.mark.parametrize(
    "wrong", [{"ratio": (0.7, 0.5)}, {"ratio": (0.5, 0.95)}, {"replace_ratio": -0.1}, {"longest_side": 0.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        CorruptionConfig(**wrong)  # type: ignore[arg-type]
