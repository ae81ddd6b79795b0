"""Thermal zones as Linux has them, and as some platforms spoil them."""

from pathlib import Path

from asit_edge.metrics.thermal import temperatures


def zone(root: Path, number: int, kind: str | None, temp: str | None) -> None:
    folder = root / f"thermal_zone{number}"
    folder.mkdir(parents=True)
    if kind is not None:
        (folder / "type").write_text(f"{kind}\n", encoding="utf-8")
    if temp is not None:
        (folder / "temp").write_text(f"{temp}\n", encoding="utf-8")


def test_zones_are_told_by_name_and_those_of_one_name_apart(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "48312")
    zone(tmp_path, 1, "iwlwifi", "41000")
    zone(tmp_path, 10, "iwlwifi", "-5000")
    zone(tmp_path, 2, "", "30000")
    assert temperatures(tmp_path) == {
        "cpu-thermal": 48.312,
        "iwlwifi 1": 41.0,
        "iwlwifi 10": -5.0,
        "thermal_zone2": 30.0,
    }


def test_what_is_no_temperature_is_left_out(tmp_path: Path) -> None:
    zone(tmp_path, 0, "off", "-274000")
    zone(tmp_path, 1, "gone", None)
    zone(tmp_path, 2, "words", "warm")
    zone(tmp_path, 3, None, "30000")
    assert temperatures(tmp_path) == {}
    assert temperatures(tmp_path / "nothing") == {}
