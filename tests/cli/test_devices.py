"""How devices are listed, named in the configuration, and shown on meters."""

from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from asit_edge.audio.sources import microphone
from asit_edge.cli import devices
from asit_edge.cli.app import app
from asit_edge.cli.care import levels
from asit_edge.cli.care.levels import HOLD, WIDTH, Row, Span, bar, wanted
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.sound_server import ServerSource
from tests.conftest import RATE, require_programs, tones
from tests.doctor.test_sources import Capture, Opened, column

FACTS = {"api": "ALSA", "channels": 2, "rate": 48_000, "default": False, "usb": None}
DEVICES: list[dict[str, Any]] = [
    {"index": 0, "name": "HDA Intel: ALC257 (hw:0,0)", **FACTS},
    {"index": 1, "name": "Yeti: USB Audio (hw:1,0)", **FACTS, "usb": "usb:046d:0ab7"},
    {"index": 2, "name": "Camera: USB Audio (hw:2,0)", **FACTS, "usb": "usb:046d:0825"},
    {"index": 3, "name": "Camera: USB Audio (hw:3,0)", **FACTS, "usb": "usb:046d:0825"},
    {"index": 4, "name": "pulse", **FACTS},
    {"index": 5, "name": 'default "odd"', **FACTS, "default": True},
]
SERVER = [ServerSource("speakers.monitor", 2, 44_100, False), ServerSource("yeti", 2, 48_000, True)]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with these devices."""
    require_programs("ffmpeg")
    for module in (microphone, levels):
        monkeypatch.setattr(module, "input_devices", lambda: [dict(one) for one in DEVICES])
    monkeypatch.setattr("asit_edge.host.sound_server.server_sources", lambda: SERVER)
    monkeypatch.setattr(levels, "server_sources", lambda: SERVER)
    monkeypatch.setattr(microphone._portaudio, "module", lambda: None)


def test_every_device_is_named_as_the_configuration_takes_it() -> None:
    output = CliRunner().invoke(app, ["devices"]).output
    lines = output.splitlines()
    assert lines[0] == "    0  HDA Intel: ALC257 (hw:0,0)  (ALSA, 2 in, 48000 Hz)"
    assert lines[10].startswith("*   5  ")
    named = [yaml.safe_load(line) for line in lines if line.strip().startswith("- ")]
    assert [entry.get("device", entry.get("url")) for [entry] in named] == [
        "HDA Intel: ALC257 (hw:0,0)",
        "usb:046d:0ab7",
        "Camera: USB Audio (hw:2,0)",
        "Camera: USB Audio (hw:3,0)",
        "pulse",
        'default "odd"',
        "speakers.monitor",
        "yeti",
    ]
    for source in named:
        config = Config.model_validate({"sources": source})
        wish = config.sources[0]
        if wish.type == "microphone":
            assert microphone.find_device(wish.device, DEVICES)["name"]


def test_names_go_with_levels() -> None:
    for wrong in (["pulse"], ["--seconds", "3"]):
        result = CliRunner().invoke(app, ["devices", *wrong])
        assert isinstance(result.exception, WrongUse)
    assert devices.in_config({"type": "stream", "url": 'a"b'}) == '{type: stream, url: "a\\"b"}'


def test_meters_show_hardware_the_default_and_a_servers_microphones_unless_others_are_named() -> None:
    assert [source.name for source in wanted([])] == [
        *(device["name"] for device in DEVICES[:4]),
        'default "odd"',
        "yeti",
    ]
    assert [source.name for source in wanted(["pulse", "2", "speakers.monitor", "usb:046d:0ab7"])] == [
        "pulse",
        "Camera: USB Audio (hw:2,0)",
        "speakers.monitor",
        "Yeti: USB Audio (hw:1,0)",
    ]
    with pytest.raises(AsitEdgeError, match="no input device 'tuba'"):
        wanted(["tuba"])


def test_where_there_is_nothing_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "input_devices", list)
    monkeypatch.setattr(levels, "server_sources", list)
    with pytest.raises(AsitEdgeError, match="no input devices"):
        wanted([])


def test_a_row_follows_its_device_and_holds_its_peak_for_a_while() -> None:
    row = Row("mic", levels.Ear(Opened(Capture(column(np.zeros(0))))))
    assert row.take(np.zeros(0, np.float32), RATE, 0.0) == []
    assert row.now is None
    [second] = row.take(tones((500, 1)), RATE, 1.0)
    assert (second.dbfs, second.peak_dbfs) == (-10.5, -10.4)
    quiet = tones((0, 0.5))
    assert row.take(quiet, RATE, 1.5) == [], "half a second more"
    assert row.now is not None
    assert row.now.dbfs < -70
    assert row.held == -10.4
    row.take(quiet, RATE, 1.1 + HOLD)
    assert row.held < -60
    row.close()


def test_seconds_are_counted_from_when_all_are_heard_or_were_waited_for() -> None:
    rows = [Row(name, levels.Ear(Opened(Capture(column(np.zeros(0)))))) for name in ("left", "right")]
    span, endless = Span(rows, 2.0, 100.0), Span(rows, None, 100.0)
    rows[0].take(tones((500, 1)), RATE, 100.0)
    assert [span.over(now) for now in (101.0, 105.0)] == [False, False]
    rows[1].take(tones((500, 1)), RATE, 105.0)
    assert [span.over(now) for now in (105.5, 107.4, 107.5)] == [False, False, True]
    assert not endless.over(1e9)
    silent = Span([Row("silent", levels.Ear(Opened(Capture(column(np.zeros(0))))))], 2.0, 0.0)
    assert [silent.over(now) for now in (9.9, 10.0, 11.9, 12.0)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("dbfs", "held", "filled", "mark"),
    [(-120, -120, 0, None), (0, 0, WIDTH, None), (3, 3, WIDTH, None), (-35, -7, WIDTH // 2, 35), (-70, -69, 0, 0)],
)
def test_a_bar_is_as_long_as_it_is_loud(dbfs: float, held: float, filled: int, mark: int | None) -> None:
    drawn = bar(dbfs, held)
    assert len(drawn) == WIDTH
    assert drawn.count("█") == filled
    assert (drawn.index("│") if "│" in drawn else None) == mark
