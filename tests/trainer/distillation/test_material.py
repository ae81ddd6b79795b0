"""Which recordings a student learns from and which it is chosen by, on small files."""

import wave
from pathlib import Path

import numpy as np
import pytest

from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import collection_of, original
from trainer.distillation.material import heard
from trainer.distillation.validation import held_out
from trainer.students.config import DistillConfig

SOURCES = ("petz", "mk48", "noixer", "strangers")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty recordings of each collection, of which `petz` and `strangers` share one."""
    root = tmp_path_factory.mktemp("pools") / "events"
    rows = ["path,audioset_label,split_group"]
    for source in SOURCES:
        (root / "audio" / source).mkdir(parents=True)
        for number in range(40):
            with wave.open(str(root / "audio" / source / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, 16000, 0, "NONE", ""))
                file.writeframes((np.ones(3200, np.int16) * number).tobytes())
            group = "fs:1" if number == 7 and source in ("petz", "strangers") else f"{source}:{number}"
            rows.append(f"{source}/{number}.wav,Dog,{group}")
    (root / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    return root


def test_without_a_list_a_tenth_of_all_groups_is_chosen_by(pool: Path, tmp_path: Path) -> None:
    config = DistillConfig()
    known = heard(read_recordings(pool), [], config, tmp_path)
    chosen = known.of(known.validation)
    assert {collection_of(one) for one in chosen} == {"petz", "mk48", "strangers"}
    assert all(held_out(one, config) for one in chosen)
    assert len(known.training) + len(chosen) == 120


def test_collections_to_choose_by_are_chosen_by_whole_and_never_learnt_from(pool: Path, tmp_path: Path) -> None:
    config = DistillConfig(chosen_by=["strangers"])
    known = heard(read_recordings(pool), [], config, tmp_path)
    training, chosen = known.of(known.training), known.of(known.validation)
    assert [one.path.parent.name for one in chosen] == ["strangers"] * 40
    assert {collection_of(one) for one in training} == {"petz", "mk48"}
    assert not {original(one) for one in training} & {original(one) for one in chosen}
    # A tenth of the others' groups stays unheard, as it would without the list, so that both can be compared on them.
    assert not any(held_out(one, config) for one in training)
    assert 60 < len(training) < 79
