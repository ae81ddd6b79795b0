"""The page of an evaluation: figures as in the results, one colour a class, sound to play; nothing else is needed."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.labels import Label
from asit_edge.model.frontend import FrontEnd, log_mel
from tests.conftest import RATE, tones
from trainer.data.dataset import Dataset
from trainer.data.layouts import folder
from trainer.evaluation.report import figures
from trainer.evaluation.report.page import mistakes, number, percent, threshold_rows, write_report
from trainer.evaluation.report.palette import FIRST, palette_of
from trainer.evaluation.report.players import LONGEST, Players
from trainer.evaluation.results import Json, Scored, evaluate
from trainer.evaluation.scoring import ScoringModel, open_model


class Page(HTMLParser):
    """Tags that are open where they close, tables as rows of cells, and attributes by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.colours: dict[str, set[str]] = {}
        self.attributes: dict[str, list[dict[str, str | None]]] = {}
        self._open: list[str] = []
        self._colour = ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in ("meta", "img"):
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
            self._colour = dict(attrs).get("style") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("th", "td"):
            self.rows[-1][-1] += data
            if self._colour:
                self.colours.setdefault(data, set()).add(self._colour)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "a.wav", tones((0, 2), (500, 2), (0, 2), (3000, 1), (0, 3)), RATE)
    (tmp_path / "events.tsv").write_text(
        "filename\tonset\toffset\tevent_label\na.wav\t2.0\t4.0\tLow tone\na.wav\t6.0\t7.0\tHigh tone\n"
    )
    return tmp_path


def written(path: Path, model: ScoringModel, dataset: Dataset) -> tuple[str, Scored, Json]:
    scored, result = evaluate(model, dataset)
    parts = {"one": result, "two": result}
    write_report(path, model, dict.fromkeys(parts, dataset), dict.fromkeys(parts, scored), parts)
    return path.read_text(encoding="utf-8"), scored, result


def test_the_tables_are_the_results(tone_bundle: Path, scenes: Path) -> None:
    model = open_model(tone_bundle)
    text, scored, result = written(scenes / "report.html", model, folder.read(scenes))
    page = Page(text)
    assert page.rows[0] == ["class", "clips", "AP", "AUC", "events", "PSDS1", "PSDS2", "F1"]
    own = result["detection"]["classes"]["Low tone"]
    low = next(row for row in page.rows if row[0] == "Low tone")
    assert low[1:3] == ["1", f"{result['classes']['Low tone']['ap']['value']:.3f}"]
    assert low[5] == f"{own['psds1']:.3f}"
    head = next(row for row in page.rows if "begins at" in row)
    assert head == ["class", "begins at", "ends below", "missed", "false alarms/h", "precision", "delay p50 s"]
    rows = dict(threshold_rows(model, scored, result))
    assert rows["Low tone"][:3] == ["0.500", "0.300", "0.0%"]
    assert rows["Low tone"][5] == f"{own['delay_p50']:.2f}"
    assert ["Low tone", *rows["Low tone"]] in page.rows
    assert "2 events, 0.0% missed" in text


def test_a_class_has_one_colour_in_every_table_of_every_part(tone_bundle: Path, scenes: Path) -> None:
    text, _, _ = written(scenes / "report.html", open_model(tone_bundle), folder.read(scenes))
    page = Page(text)
    assert {label: len(colours) for label, colours in page.colours.items()} == {"Low tone": 1, "High tone": 1}
    palette = palette_of(["High tone", "Low tone"])
    assert page.colours["Low tone"] == {f"--colour: {palette['Low tone']}"}


def test_the_pictures_take_the_colours_of_the_tables(tone_bundle: Path, scenes: Path) -> None:
    dataset, model = folder.read(scenes), open_model(tone_bundle)
    scored, result = evaluate(model, dataset)
    palette = {"Low tone": "#123456", "High tone": "#654321"}
    spec = model.spec
    assert isinstance(spec, FrontEnd)
    drawn = figures.curves(scored, result, palette).axes[0].lines
    assert {line.get_label(): line.get_color() for line in drawn} == palette
    shown = figures.timeline(spec, np.zeros(10 * RATE, np.float32), scored, 0, palette).axes[1].lines
    assert {line.get_label(): line.get_color() for line in shown} == palette


def test_it_is_whole_in_itself_and_names_are_no_markup(tone_bundle: Path, scenes: Path) -> None:
    opened = open_model(tone_bundle)
    model = ScoringModel(**{**vars(opened), "name": "<script>alert(1)</script>"})
    text, _, _ = written(scenes / "report.html", model, folder.read(scenes))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    page = Page(text)
    sources = [one["src"] or "" for tag in ("img", "audio") for one in page.attributes[tag]]
    assert len(sources) == 2 * (3 + 1 + 1)
    assert all(one.startswith("data:") for one in sources)
    assert "link" not in page.attributes
    assert all(one["alt"] for one in page.attributes["img"])
    assert "default-src 'none'" in str(page.attributes["meta"])


def test_what_can_be_played_is_the_recording(tone_bundle: Path, scenes: Path) -> None:
    text, _, _ = written(scenes / "report.html", open_model(tone_bundle), folder.read(scenes))
    [first, _] = [one["src"] or "" for one in Page(text).attributes["audio"]]
    content = base64.b64decode(first.partition(",")[2])
    heard, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    there, _ = soundfile.read(scenes / "audio" / "a.wav", dtype="float32")
    assert rate == RATE
    assert np.abs(heard - there).max() < 1e-4


def test_clips_that_were_taken_for_another_can_be_heard(tone_bundle: Path, tmp_path: Path) -> None:
    for name, frequency in (("Low tone", 500), ("High tone", 3000), ("High tone", 500)):
        place = tmp_path / name / f"take{frequency}"
        place.mkdir(parents=True)
        soundfile.write(place / f"{frequency}.wav", tones((frequency, 1.0)), RATE)
    text, scored, _ = written(tmp_path / "report.html", open_model(tone_bundle), folder.read(tmp_path))
    [(index, caption)] = mistakes(scored)
    assert scored.truth[index].tolist() == [label == "High tone" for label in scored.labels]
    assert re.fullmatch(r"High tone scores 0\.\d\d, Low tone, which is not there, [01]\.\d\d", caption)
    assert text.count("<audio") == 2, "once a part"
    assert f"500.wav: {caption}" in text


def test_sound_has_bounds() -> None:
    players = Players(most_bytes=60_000)
    long = tones((500, LONGEST + 5))
    assert Players().player(long, RATE).note == "the first 60 s can be played"
    noise = np.random.default_rng(0).uniform(-1, 1, RATE).astype(np.float32)
    assert players.player(noise, RATE).note == ""
    full = players.player(noise, RATE)
    assert (full.source, full.note) == ("", "cannot be played here: the page has 0.06 MB of sound already")
    assert players.player(0 * noise, RATE).source, "what is small still fits"


def test_frequencies_stand_where_they_are() -> None:
    spec = FrontEnd()
    for hz in (200, 500, 1000, 3000, 6000):
        image = log_mel(spec, tones((hz, 1.0)))
        loudest = int(image.mean(axis=0).argmax())
        assert abs(figures.height_of(hz, spec) - (loudest + 0.5)) <= 1.0, hz
    figure = figures.clip(spec, tones((500, 1.0)))
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [*["8k", "4k", "2k", "1k", "500", "200"]]
    assert axes.get_ylabel() == "Hz"


def test_colours_are_told_apart_and_stay_when_classes_come() -> None:
    labels = [str(number) for number in range(150)]
    palette = palette_of(labels)
    assert palette_of(labels[:30]) == {label: palette[label] for label in labels[:30]}
    assert len({palette[label] for label in labels[:FIRST]}) == FIRST
    assert len(set(palette.values())) > 140
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in palette.values())


def test_what_is_not_reported_and_what_cannot_be_said_is_shown_so(tone_bundle: Path) -> None:
    opened = open_model(tone_bundle)
    model = ScoringModel(**{**vars(opened), "classes": [None, opened.classes[1]], "labels": [
        Label(name="Low tone", id="a"), Label(name="High tone", id="b")]})  # fmt: skip
    scored = Scored(
        ["High tone", "Low tone"], np.zeros((1, 2), np.float32), np.zeros((1, 2), bool), [], False, [], [], []
    )
    assert threshold_rows(model, scored, {}) == [("High tone", ["0.500", "0.300"]), ("Low tone", ["not reported", "-"])]
    assert (number(float("nan"), 3), percent(float("nan"))) == ("-", "-")
