"""Evaluation from end to end with a model that is simple enough to predict: it hears a low and a high tone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import WrongUse
from tests.conftest import RATE, tones
from tests.trainer.commands import run
from trainer.data.dataset import Dataset
from trainer.data.layouts import folder
from trainer.data.recording import Recording
from trainer.evaluation.results import choose_part, columns_of, evaluate, plain, table
from trainer.evaluation.scoring import open_model


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings: a low and a high tone; a high tone that nobody labelled; a low tone and quiet."""
    root = tmp_path_factory.mktemp("scenes")
    (root / "audio").mkdir()
    parts = {
        "a.wav": ((0, 2), (500, 2), (0, 2), (3000, 1), (0, 3)),
        "b.wav": ((0, 4), (3000, 1), (0, 5)),
        "c.wav": ((0, 1), (500, 3), (0, 6)),
    }
    for name, pieces in parts.items():
        soundfile.write(root / "audio" / name, tones(*pieces), RATE)
    (root / "events.tsv").write_text(
        "filename\tonset\toffset\tevent_label\n"
        "a.wav\t2.0\t4.0\tLow tone\na.wav\t6.0\t7.0\tHigh tone\nb.wav\t\t\t\nc.wav\t1.0\t4.0\tLow tone\n"
    )
    return root


def test_a_detector_is_judged_by_the_events_that_its_device_would_tell(tone_bundle: Path, scenes: Path) -> None:
    model, dataset = open_model(tone_bundle), folder.read(scenes)
    scored, results = evaluate(model, dataset)
    detection = results["detection"]
    assert scored.labels == ["High tone", "Low tone"]
    assert detection["events"] == 3
    assert detection["miss_rate"] == 0.0
    # One high tone in 30 s that nobody labelled, in the recording without events.
    assert detection["alarms_per_hour"] == pytest.approx(120)
    assert detection["quiet_alarms_per_hour"] == pytest.approx(360)
    assert detection["classes"]["Low tone"]["alarms_per_hour"] == 0
    # It hears the last 0.16 s every 0.16 s: told within two decisions.
    assert 0 < detection["delay_p50"] <= 0.35
    assert detection["classes"]["High tone"]["psds1"] == 0.0  # the false alarm is 120 an hour, beyond PSDS's 100
    assert detection["classes"]["Low tone"]["psds1"] == pytest.approx(1.0)
    assert detection["classes"]["Low tone"]["event_f1"] == 1.0
    assert results["classes"]["Low tone"]["ap"]["value"] == 1.0
    assert results["classes"]["High tone"]["ap"]["value"] == pytest.approx(0.5)
    assert json.loads(json.dumps(plain(results), allow_nan=False))["detection"]["events"] == 3
    text = table(results)
    assert "3 events, 0.0% missed, 120.0 false alarms per hour" in text


def test_the_command_writes_json_a_table_and_a_page_with_pictures(
    tone_bundle: Path, scenes: Path, tmp_path: Path
) -> None:
    done = run("trainer.evaluate", tone_bundle, scenes, "--out", tmp_path / "report", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "PSDS1" in done.stdout
    content = json.loads((tmp_path / "report" / "results.json").read_text(encoding="utf-8"))
    assert content["parts"]["all"]["detection"]["events"] == 3
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == 3 + 3  # curves, bars, trade-off; a timeline for each recording
    assert page.count('src="data:image/png;base64,') == 6
    assert "a.wav: scores" in page
    assert page.count('<audio controls preload="none" src="data:audio/flac;base64,') == 3
    assert not re.search(r"https?:", page), "it needs nothing else"


def test_classes_that_the_data_lack_count_as_false_alarms_or_not(tone_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a.wav", tones((0, 1), (3000, 1), (0, 1), (500, 1), (0, 1)), RATE)
    (tmp_path / "events.tsv").write_text("filename\tonset\toffset\tevent_label\na.wav\t3\t4\tLow tone\n")
    model, dataset = open_model(tone_bundle), folder.read(tmp_path)
    _, strict = evaluate(model, dataset)
    _, lenient = evaluate(model, dataset, others=False)
    assert strict["detection"]["alarms_per_hour"] == pytest.approx(720)
    assert lenient["detection"]["alarms_per_hour"] == 0
    assert strict["detection"]["psds1"] == lenient["detection"]["psds1"] == pytest.approx(1.0)


def test_clips_are_scored_as_tag_does_and_ranked(tone_bundle: Path, tmp_path: Path) -> None:
    for name, frequency in (("Low tone", 500), ("High tone", 3000)):
        for take in range(2):
            (tmp_path / name / f"take{take}").mkdir(parents=True)
            soundfile.write(tmp_path / name / f"take{take}" / "a.wav", tones((frequency, 1.0 + take)), RATE)
    _, results = evaluate(open_model(tone_bundle), folder.read(tmp_path))
    assert results["accuracy"]["value"] == 1.0
    assert results["confusion"] == [[2, 0], [0, 2]]
    assert results["map"]["value"] == 1.0
    assert "detection" not in results
    tagged = run("asit_edge", "tag", tmp_path / "Low tone" / "take0" / "a.wav", "--model", tone_bundle, "--json")
    scores = {entry["label"]: entry["score"] for entry in json.loads(tagged.stdout)["scores"]}
    scored, _ = evaluate(open_model(tone_bundle), folder.read(tmp_path))
    row = [clip.path.parts[-3:-1] for clip in folder.read(tmp_path).recordings].index(("Low tone", "take0"))
    assert scored.scores[row] == pytest.approx([scores["High tone"], scores["Low tone"]], abs=1e-3)


def test_a_single_class_and_a_class_without_clips_have_no_value_and_break_nothing(
    tone_bundle: Path, scenes: Path
) -> None:
    only = folder.read(scenes).choose([2])
    _, results = evaluate(open_model(tone_bundle), only)
    assert np.isnan(results["classes"]["High tone"]["ap"]["value"])
    assert np.isnan(results["classes"]["Low tone"]["auc"])
    assert np.isnan(results["detection"]["classes"]["High tone"]["miss_rate"])
    assert json.loads(json.dumps(plain(results), allow_nan=False))["classes"]["High tone"]["ap"]["value"] is None
    assert "High tone" in table(results)


def test_a_label_that_the_model_lacks_is_named(tone_bundle: Path) -> None:
    dataset = Dataset("zoo", [Recording(Path("a.wav"), ("Dog",))], ["Dog"])
    with pytest.raises(WrongUse, match="has no label 'Dog', which zoo needs"):
        columns_of(open_model(tone_bundle), dataset, True)


def test_a_part_that_is_not_there_is_named() -> None:
    dataset = Dataset("zoo", [Recording(Path("a.wav"), ("Dog",), part="1")], ["Dog"])
    with pytest.raises(WrongUse, match="--part 4: zoo has the parts 1"):
        choose_part(dataset, "4")
