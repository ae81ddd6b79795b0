"""A configuration that changes meanwhile is taken whole or not at all, and what is not taken is said."""

import logging
from pathlib import Path

import pytest

from asit_edge.config.file import load_config
from asit_edge.config.root import Config
from asit_edge.deliver.changing import Prepared
from asit_edge.host.flag import Flag
from asit_edge.listen import reload
from asit_edge.listen.reload import Change, Changes, Reloading
from asit_edge.model.bundle import Manifest, find_bundle, load_bundle
from asit_edge.remote.differing import differing
from tests.integration.mosquitto import wait_for

BEFORE = "events: {labels: {Dog: {on_threshold: 0.7}}}\n"


@pytest.fixture
def manifest() -> Manifest:
    return load_bundle(find_bundle()).manifest


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reload, "LOOK_EVERY", 0.05)
    file = tmp_path / "config.yaml"
    file.write_text(BEFORE, encoding="utf-8")
    return file


def opened(_before: Config, after: Config) -> Change:
    return Change(after, {}, Prepared(after, None, [], None), lambda: None)


def watching(file: Path) -> tuple[Reloading, Flag]:
    asked = Flag()
    reloading = Reloading(load_config(file), Changes(lambda: load_config(file), file, asked), opened)
    reloading.start()
    return reloading, asked


def test_a_changed_file_is_taken_once(file: Path, manifest: Manifest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asit_edge")
    reloading, _ = watching(file)
    assert reloading.take(manifest) is None
    file.write_text("events: {labels: {Dog: {on_threshold: 0.8}}, only: [Dog]}\n", encoding="utf-8")
    config = wait_for(lambda: reloading.take(manifest), 5, "it is taken").config
    assert config.events.labels["Dog"].on_threshold == 0.8
    assert "in force: events.labels.Dog.on_threshold, events.only" in caplog.text
    assert (reloading.take(manifest), reloading.problem()) == (None, None)
    reloading.stop()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("events: {labels: {Dgo: {on_threshold: 0.8}}}\n", "events.labels: the model has no label 'Dgo'"),
        ("events: {only: [Dog], mergegap: 1}\n", "did you mean 'merge_gap'?"),
        ("mqtt: {prefix: b}\nevents: {only: [Dog]}\n", "mqtt.prefix: cannot change while it listens"),
        ("web: {enabled: false}\nthreads: 2\n", "threads, web.enabled: cannot change while it listens"),
        ("events: {only: [Dog], interval: 1}\n", "events.interval: cannot change while it listens"),
        (
            "sources: [{type: stdin, events: {only: [Dog]}}]\n",
            "(stdin: standard input): cannot change while it",
        ),
        ("sources: [{type: microphone}, {type: stdin}]\n", "(stdin: standard input): cannot change while it"),
        ("events: [", "not valid YAML"),
    ],
)
def test_what_cannot_be_taken_changes_nothing_and_is_said_until_it_is_right(
    file: Path, manifest: Manifest, text: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    reloading, asked = watching(file)
    file.write_text(text, encoding="utf-8")
    for _ in range(2):  # told once, however often it is read
        asked.set()
        wait_for(lambda: reloading.take(manifest) or problem in (reloading.problem() or ""), 5, "it is refused")
        wait_for(lambda: not asked.is_set(), 5, "it was read")
    assert reloading.take(manifest) is None
    assert "what was before stays in force" in (reloading.problem() or "")
    assert caplog.text.count(problem) == 1
    file.write_text(BEFORE + "# put right\n", encoding="utf-8")
    wait_for(lambda: reloading.problem() is None, 5, "nothing is wrong any more")
    assert reloading.take(manifest) is None
    reloading.stop()


def test_a_file_that_is_gone_is_said(file: Path) -> None:
    reloading, _ = watching(file)
    file.unlink()
    wait_for(lambda: "cannot be read" in (reloading.problem() or ""), 5, "it is said")
    reloading.stop()


def test_keys_that_differ_are_named() -> None:
    before = Config.model_validate({"events": {"only": ["Dog"]}})
    after = Config.model_validate(
        {"events": {"only": ["Cat"], "labels": {"A.b": {"on_threshold": 0.2}}}, "device": "x"}
    )
    assert set(differing(before, after)) == {"device", "events.only", "events.labels.A.b"}
    assert list(differing(before, before)) == []
