"""Negatives for teaching: of what may be learnt from, and nothing else; the bundle that has them can be taught."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.model.bundle import bundled, load_bundle
from asit_edge.teach.space import NEGATIVES, load_space
from export.negatives.__main__ import main
from export.negatives.embedded import KEPT, Embedded, choose, spread
from tests.trainer.commands import call
from trainer.data.recording import Recording
from trainer.distillation.synthesis import MAKERS, synthesised

RATE = 16_000


def collection(folder: Path, sources: dict[str, int]) -> Path:
    """A pool of made sounds: so many of each source."""
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "source", "licence", "original_label", "audioset_label", "split_group", "sharealike"])
        for source, count in sources.items():
            (folder / "audio" / source).mkdir(parents=True)
            for number in range(count):
                name = list(MAKERS)[number % len(MAKERS)]
                path = f"{source}/{name}-{number}.flac"
                soundfile.write(folder / "audio" / path, synthesised(name, number, RATE)[: 2 * RATE], RATE)
                table.writerow([path, source, "CC0-1.0", name, MAKERS[name][0], f"{source}-{number}", 0])
    return folder


def test_a_bundle_gets_negatives_of_all_but_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    shutil.copytree(bundled()["asit-warm-tiny"], path)
    (tmp_path / "pool").mkdir()
    pool = collection(tmp_path / "pool", {"ours": 40, "luanti_mod_sounds": 8})
    assert call("export.negatives", main, path, "--data", pool, "--axes", "16") == 0
    loaded = load_bundle(path)
    space = load_space(loaded)
    assert loaded.manifest.training["negatives"] == {"ours": 40}
    assert len(space.labels) == 40
    assert len(space.axes) == 16
    assert len(space.vectors) <= 40 * KEPT
    lengths = np.linalg.norm(space.vectors.astype(np.float32) / 127, axis=1)
    assert lengths == pytest.approx(1, abs=0.03)
    assert f"`{NEGATIVES}`" in (path / "README.md").read_text(encoding="utf-8")


def test_a_bundle_without_embeddings_and_no_data_are_refused(
    tone_stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "copy"
    shutil.copytree(tone_stream, path)
    for arguments, said in (([], "--data"), (["--data", tmp_path], "gives no embeddings")):
        assert call("export.negatives", main, path, *arguments) == 2
        assert said in capsys.readouterr().err


def embedded(label: str, number: int) -> Embedded:
    one = Recording(Path(f"{label}{number}.wav"), (label,), name=f"pool/{label}/{number}.wav")
    rng = np.random.default_rng((len(label), number))
    return Embedded(one, rng.standard_normal((6, 12)).astype(np.float32), np.ones(6))


def test_every_label_gives_one_before_any_gives_two() -> None:
    heard = [embedded("Cough", number) for number in range(50)] + [embedded("Bell", 0), embedded("Rain", 0)]
    chosen = choose(heard, 6)
    assert sorted(one.recording.label for one in chosen) == ["Bell", "Cough", "Cough", "Cough", "Cough", "Rain"]


def test_axes_are_those_in_which_sounds_differ_and_none_is_stretched_without_end() -> None:
    heard = [embedded("Cough", number) for number in range(60)]
    flat = [Embedded(one.recording, one.embeddings * np.array([9.0] * 4 + [1e-6] * 8), one.levels) for one in heard]
    mean, basis = spread(flat, 4)
    assert basis.shape == (12, 4)
    assert np.abs(basis[4:]).max() < 1e-3
    assert np.isfinite(basis).all()
    assert np.abs(mean[4:]).max() < 1e-3
