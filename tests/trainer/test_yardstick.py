"""The yardstick from end to end, over tones."""

import json
import shutil
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tests.trainer.commands import call
from tests.trainer.evaluation.yardstick.sounds import write_pool
from trainer.evaluation.yardstick import measure
from trainer.yardstick import main


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pool(tmp_path_factory.mktemp("pools") / "events")


@pytest.fixture(scope="module")
def dog_bundle(tone_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes every low tone for a dog and every high one for a doorbell."""
    bundle = tmp_path_factory.mktemp("bundles") / "dogs"
    shutil.copytree(tone_bundle, bundle)
    manifest = yaml.safe_load((bundle / "bundle.yaml").read_text())
    names = {"Low tone": "Dog", "High tone": "Doorbell"}
    for label in manifest["labels"]:
        label["name"] = names[label["name"]]
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    return bundle


def test_every_part_of_it(pool: Path, dog_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("Dog\nDoorbell\n")
    fold = tmp_path / "ESC-10"
    (fold / "meta").mkdir(parents=True)
    (fold / "audio").mkdir()
    shutil.copy(pool / "audio" / "luanti_mod_sounds" / "Dog0.wav", fold / "audio")
    (fold / "meta" / "esc10.csv").write_text("filename,fold,category,src_file\nDog0.wav,5,dog,1\n")
    arguments = ["--data", pool, "--labels", labels, "--esc50", fold, "--hours", "0.02", "--out", tmp_path / "out"]
    with mock.patch.object(measure, "COUNT", 4):
        assert call("trainer.yardstick", main, dog_bundle, *arguments) == 0
    (results,) = json.loads((tmp_path / "out" / "results.json").read_text()).values()
    assert set(results) == set(measure.PARTS)
    assert results["clips"]["labels"] == 3
    assert results["clips"]["unknown"] == ["Bark"]
    assert results["clips"]["by_label"]["Doorbell"]["ap"] == 1.0
    assert results["folds"]["top1"]["value"] == 1.0
    assert results["scenes"]["scenes"] == 4
    assert results["same"]["labels"] > 0
    assert results["ambience"]["by_label"]["Doorbell"]["unsupported"] == 1
    assert results["long"]["hours"] == pytest.approx(2 * 30 / 3600)
    text = capsys.readouterr().out
    assert text == (tmp_path / "out" / "tables.md").read_text() + "\n"
    assert "1 labels unknown" in text
    assert "| Bark | 4 | - |" in (tmp_path / "out" / "clips.md").read_text()


def test_wrong_use_is_one_line(
    pool: Path, dog_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str | Path) -> str:
        assert call("trainer.yardstick", main, *arguments) == 2
        return capsys.readouterr().err

    assert "name the pools" in said(dog_bundle)
    assert "must be one of" in said(dog_bundle, "--data", pool, "--part", "clip")
    assert "there is nothing to measure" in said("--data", pool, "--part", "clips")
    assert "no such checkpoint or bundle" in said(tmp_path / "none", "--data", pool, "--part", "clips")
    (tmp_path / "kept" / "audio").mkdir(parents=True)
    shutil.copy(pool / "audio" / "petz" / "0.wav", tmp_path / "kept" / "audio")
    (tmp_path / "kept" / "manifest.csv").write_text("path,audioset_label\n0.wav,Dog\n")
    assert "nothing can be measured" in said(dog_bundle, "--data", tmp_path / "kept")


def test_it_measures_on_collections_to_choose_by(
    pool: Path, dog_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, listed = tmp_path / "labels.txt", tmp_path / "listed.txt"
    labels.write_text("Dog\nDoorbell\n")
    listed.write_text("petz\n")
    arguments = ["--data", pool, "--labels", labels, "--part", "clips", "--out", tmp_path / "out"]
    assert call("trainer.yardstick", main, dog_bundle, *arguments, "--choose-by", listed) == 0
    (results,) = json.loads((tmp_path / "out" / "results.json").read_text()).values()
    assert results["clips"]["clips"] == 24, "twelve a label of petz; of the left-out ones there are 16"
    assert "clips to choose by: 24 clips of 2 labels" in capsys.readouterr().out
    listed.write_text("nobody_has_it\n")
    capsys.readouterr()
    assert call("trainer.yardstick", main, dog_bundle, *arguments, "--choose-by", listed) == 2
    assert "none of the collections to choose by (nobody_has_it) is there" in capsys.readouterr().err
