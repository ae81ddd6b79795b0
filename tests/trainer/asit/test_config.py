from pathlib import Path

import pytest

from asit_edge.errors import WrongUse
from trainer.asit.config import VARIANTS, PretrainConfig, make_config
from trainer.run.settings import parse_settings


def test_defaults_are_the_2024_release() -> None:
    config = PretrainConfig(data=("shards",))
    assert (config.frames, config.local_frames, config.local_views) == (592, 192, 4)
    assert (config.hidden, config.bottleneck, config.prototypes, config.patch_prototypes) == (
        2048,
        256,
        8192,
        None,
    )
    assert (config.global_weight, config.local_weight, config.reconstruction_weight) == (0.5, 0.5, 1.0)
    assert config.corruption.ratio == (0.5, 0.5)


def test_2023_is_what_the_first_release_did() -> None:
    config = make_config("2023", None, {"data": ["shards"], "part_size": 8})
    assert config.patch_prototypes == 1024
    assert config.corruption.ratio == (0.5, 0.7)
    assert config.temperature_warm_up == 30
    assert config.asit.reconstruction_weight == 2.0
    assert config.part_size == 8, "a setting goes before the variant"
    assert VARIANTS["2024"] == {}


def test_rates_over_a_run() -> None:
    config = PretrainConfig(data=("shards",), epochs=20, warm_up=2)
    first, peak, last = (config.rates(step, steps_per_epoch=10, batch=512) for step in (0, 19, 199))
    assert first == pytest.approx((0.0, 0.04, 0.996, 0.04))
    assert peak.learning_rate == pytest.approx(1e-3)
    assert last.learning_rate == pytest.approx(1e-6, rel=0.1)
    assert last.weight_decay == pytest.approx(0.4, rel=1e-3)
    assert last.ema == pytest.approx(1.0, abs=1e-6)
    assert last.temperature == 0.07


def test_file_then_settings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data: [shards]\nsize: tiny\nseed: 1\n")
    config = make_config("2024", tmp_path / "a.yaml", {"seed": 2})
    assert (config.size, config.seed) == ("tiny", 2)


@pytest.mark.parametrize(
    ("text", "value"), [("a=1e-4", 1e-4), ("a=3", 3), ("a=true", True), ("a=null", None), ("a=x=y", "x=y")]
)
def test_settings_are_read_as_yaml(text: str, value: object) -> None:
    parsed = parse_settings([text])["a"]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": "tiny"}, "sizes: no such setting; there are data, size"),
        ({"size": "huge"}, "unknown model size 'huge'"),
        ({"ratio_low": 0.7, "ratio_high": 0.5}, "ratios must lie"),
        ({"frames": 100}, "multiples of 16"),
        ({"local_frames": 7}, "local_frames"),
        ({"fill": "pink"}, "fill"),
        ({"data": []}, "data"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        make_config("2024", None, {"data": ["shards"], **settings})


def test_wrong_files_variants_and_settings(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="unknown variant"):
        make_config("2022", None, {})
    with pytest.raises(WrongUse, match="data: must be given"):
        make_config("2024", None, {})
    with pytest.raises(WrongUse, match="cannot be read"):
        make_config("2024", tmp_path / "absent.yaml", {})
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(WrongUse, match="key: value"):
        make_config("2024", tmp_path / "list.yaml", {})
    with pytest.raises(WrongUse, match="key=value"):
        parse_settings(["seed"])
