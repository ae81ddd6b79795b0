"""The picture of a recording goes to the broker where somebody wants it, and only then."""

import base64
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asit_edge.config.root import Config
from asit_edge.deliver.picture import picture
from asit_edge.messages.report import ClipReport
from asit_edge.mqtt.topics import Topics
from tests.conftest import RATE, tones


def configured(folder: Path, *, pictures: bool = True, host: str | None = "broker") -> Config:
    clips = {"enabled": True, "folder": str(folder)}
    return Config.model_validate({"clips": clips, "home_assistant": {"pictures": pictures}, "mqtt": {"host": host}})


def report(**changes: Any) -> ClipReport:
    fields = {"schema": 1, "device": "hall", "source": "mic", "event": "id", "label": "Dog", "kept": True}
    return ClipReport.model_validate({**fields, "path": "a.flac", "url": None, "seconds": 1.0, "reason": "", **changes})


def test_a_recording_is_drawn_for_its_source(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tones((500, 1)), RATE)
    [(topic, payload)] = picture(configured(tmp_path), Topics("asit", "hall"), report()).items()
    assert topic == "asit/hall/mic/picture"
    assert base64.b64decode(payload, validate=True).startswith(b"\x89PNG")


def test_nothing_is_drawn_where_nobody_asked_or_there_is_no_recording(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = Topics("asit", "hall")
    soundfile.write(tmp_path / "a.flac", tones((500, 1)), RATE)
    assert picture(configured(tmp_path, pictures=False), topics, report()) == {}
    assert picture(configured(tmp_path, host=None), topics, report()) == {}
    assert picture(configured(tmp_path), topics, report(kept=False, path=None, reason="speech")) == {}
    assert caplog.text == ""
    assert picture(configured(tmp_path), topics, report(path="gone.flac")) == {}
    assert "no picture of gone.flac" in caplog.text


def test_pictures_without_recordings_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"home_assistant\.pictures: .* set clips.enabled to true"):
        Config.model_validate({"home_assistant": {"pictures": True}})
