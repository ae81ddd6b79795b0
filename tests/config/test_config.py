"""The configuration: `config.yaml` is complete and true, and mistakes are named with file, line and remedy."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from asit_edge.config.file import load_config
from asit_edge.config.root import Config
from asit_edge.config.sources import FileSource
from asit_edge.errors import WrongUse
from asit_edge.host.directories import state_directory
from tests.conftest import ROOT


def test_config_yaml_shows_every_key_with_its_default() -> None:
    shown = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert shown == Config().model_dump(mode="json")
    assert load_config(ROOT / "config.yaml") == Config()


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("# nothing yet\n", encoding="utf-8")
    assert load_config(file) == Config()


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("device: hall\nmqqt:\n  host: x\n", 2, "unknown key 'mqqt' (did you mean 'mqtt'?)"),
        ("mqtt:\n  hots: broker\n", 2, "unknown key 'mqtt.hots' (did you mean 'host'?)"),
        ("mqtt:\n  tls:\n    cafile: x\n", 3, "(did you mean 'ca_file'?)"),
        ("sources:\n  - type: microphone\n    divice: 3\n", 3, "(did you mean 'device'?)"),
        ("sources:\n  - type: file\n    name: x\n    pathh: y\n", 2, "is missing"),
        ("sources:\n  - type: radio\n", 2, "'radio'"),
        ("sources: []\n", 1, "at least 1 item"),
        ("sources:\n  - {type: microphone}\n  - {type: microphone}\n", 1, "different names"),
        ("mqtt:\n  port: 99999\n", 2, "mqtt.port: input should be less than or equal to 65535, not 99999"),
        ("device: 'a/b'\n", 1, "device"),
        ("mqtt:\n  tls:\n    cert_file: x\n", 2, "cert_file and key_file go together"),
        ("events:\n  labels:\n    Dog:\n      onn: 1\n", 4, "unknown key"),
        ("store:\n  keep: 1\n", 2, "store.keep"),
        ("events:\n  merge_gap: -1\n", 2, "events.merge_gap"),
        ("events:\n  same_room: [[microphone, attic]]\n", 1, "events.same_room: there is no source 'attic'"),
        ("events:\n  same_room: [[microphone], [microphone]]\n", 1, "in one room only"),
        ("events:\n  quiet_hours:\n  - {begin: '22:00', end: '24:00'}\n", 3, "quiet_hours[0].end"),
        ("events:\n  quiet_hours:\n  - {begin: '22:00', end: '22:00'}\n", 3, "must differ"),
        ("events:\n  quiet_hours:\n  - {begin: '22:00', end: '06:00', sources: [attic]}\n", 1, "no source 'attic'"),
        ("sources:\n  - {type: stdin}\n  - {type: stdin, name: b}\n", 1, "only one standard input"),
        ("sources:\n  - {type: stream, url: x, optoins: []}\n", 2, "(did you mean 'options'?)"),
        ("sources:\n  - type: microphone\n    events:\n      mergegap: 1\n", 4, "(did you mean 'merge_gap'?)"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongUse) as error:
        load_config(file)
    assert str(error.value).startswith(f"{file}:{line}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongUse, match="config.yaml"):
        load_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"nowhere.yaml: cannot be read \(No such file"):
        load_config(tmp_path / "nowhere.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99_999) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["device", "model", "threads", "sources", "events", "mqtt", "store", "other"])


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_no_content_gives_anything_but_a_config_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    try:
        config = load_config(file)
    except WrongUse as error:
        assert str(file) in str(error)
        assert "\n" not in str(error)
    else:
        assert isinstance(config, BaseModel)


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASIT_EDGE_MQTT_PASSWORD", raising=False)
    secret = tmp_path / "password"
    secret.write_text("s3cret\nsecond line\n", encoding="utf-8")
    mqtt = Config.model_validate({"mqtt": {"password_file": str(secret)}}).mqtt
    assert mqtt.password() == "s3cret"
    assert "s3cret" not in repr(mqtt)
    monkeypatch.setenv("ASIT_EDGE_MQTT_PASSWORD", "other")
    assert mqtt.password() == "other"
    monkeypatch.delenv("ASIT_EDGE_MQTT_PASSWORD")
    secret.unlink()
    with pytest.raises(WrongUse, match="mqtt.password_file"):
        mqtt.password()


def test_tls_changes_the_default_port() -> None:
    assert Config.model_validate({"mqtt": {}}).mqtt.effective_port == 1883
    assert Config.model_validate({"mqtt": {"tls": {"ca_file": "ca.pem"}}}).mqtt.effective_port == 8883
    assert Config.model_validate({"mqtt": {"port": 1, "tls": {"enabled": True}}}).mqtt.effective_port == 1


def test_the_state_directory_is_systemds_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/asit-edge")
    assert state_directory() == Path("/var/lib/asit-edge")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")
    assert state_directory() == Path("/home/x/state/asit-edge")


def test_a_file_source_is_told_from_a_microphone() -> None:
    config = Config.model_validate({"sources": [{"type": "file", "path": "x.wav"}]})
    assert isinstance(config.sources[0], FileSource)
