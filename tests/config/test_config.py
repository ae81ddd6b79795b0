"""The configuration: `config.yaml` is complete and true, and mistakes are named with file, line and remedy."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from asit_edge.config.delivery import Mqtt
from asit_edge.config.file import load_config
from asit_edge.config.root import Config
from asit_edge.config.sources import FileSource, StreamSource
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


@pytest.mark.parametrize("yes", ["yes", "Yes", "on", "true"])
def test_words_and_times_are_taken_as_meant(tmp_path: Path, yes: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        f"device: 0123\nsources: [{{type: stream, url: x, once: {yes}}}]\nmqtt: {{username: 0047, port: 01883}}\n"
        "events:\n  only: [Dog, No, on]\n  labels: {off: {on_threshold: 5e-1}}\n"
        "  quiet_hours: [{begin: 22:00, end: 06:30}]\n",
        encoding="utf-8",
    )
    config = load_config(file)
    assert (config.device, config.mqtt.username, config.mqtt.port) == ("0123", "0047", 1883)
    assert config.events.only == ["Dog", "No", "on"]
    assert config.events.labels["off"].on_threshold == 0.5
    assert (config.events.quiet_hours[0].begin, config.events.quiet_hours[0].end) == ("22:00", "06:30")
    [source] = config.sources
    assert isinstance(source, StreamSource)
    assert source.once


@pytest.mark.parametrize(
    "wanted", ["mqtt: {username: 911}", "device: true", "events: {only: [Dog, 3.5]}", "mqtt: {protocol: 5}"]
)
def test_the_remedy_of_a_text_without_quotes_works_when_pasted(tmp_path: Path, wanted: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(wanted, encoding="utf-8")
    with pytest.raises(WrongUse, match=r'config.yaml:1: .*\(in quotes it is a text: ".*"\)') as refused:
        load_config(file)
    quoted = str(refused.value).rpartition("text: ")[2].rstrip(")")
    file.write_text(wanted.replace(quoted.strip('"'), quoted), encoding="utf-8")
    load_config(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"mqtt:\n  host: a\ndevice: x\nmqtt:\n  port: 1\n", ":4: key 'mqtt' is there twice, first on line 1; put"),
        (b"mqtt:\n  tls: {enabled: true, enabled: false}\n", ":2: key 'enabled' is there twice"),
        (b"mqtt:\n\thost: a\n", ":2: not valid YAML (a tab; YAML is indented with spaces)"),
        (b"mqtt:\n  host: !secret broker\n", ":2: not valid YAML (!secret is not known here; secrets can be in files"),
        (b"mqtt:\n  host: caf\xe9\n", ":2: has a character that is not UTF-8; save the file as UTF-8"),
        (b"device: a\x00b\n", ": has a character that YAML does not allow (number 0)"),
        (b"[" * 5_000, ":1: is nested too deeply"),
        (b"device: x\n---\ndevice: y\n", "not valid YAML"),
        (b"sources: &a [*a]\n", ":1: "),
        (b"events: {merge_gap: .inf}\n", ":1: events.merge_gap: must be a finite number"),
        (b"events: {max_duration: 1e999}\n", ":1: events.max_duration: must be a finite number"),
        (b"events: {merge_gap: 1:30}\n", ":1: events.merge_gap: "),
        (b"events: {quiet_hours: [{begin: 9:00, end: 22:00}]}\n", "a time of day from 00:00 to 23:59, not '9:00'"),
        (b"events: {labels: {5: {}}}\n", ':1: events.labels: a key must be a text (in quotes it is a text: "5")'),
        (b"clips: {before: 60}\n", ":1: clips: max_seconds (60) must be more than before (60)"),
        (
            b"clips: {base_url: hall.local}\n",
            ":1: clips.base_url: must be an address such as http://hall.local:8080/clips",
        ),
        (b"clips: {speech: no}\n", ":1: clips.speech: "),
        (b"device: hall way\n", ":1: device: must be 1 to 64 letters, digits, _ and -, not 'hall way'"),
    ],
)
def test_odd_files_are_named_with_line_and_remedy(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(WrongUse) as refused:
        load_config(file)
    assert f"{file}" in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_configuration_is_read_however_an_editor_saved_it(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes("device: hall\r\nevents: {only: [Grünspecht]}\r\n".encode(encoding))
    assert load_config(file).events.only == ["Grünspecht"]


@pytest.mark.parametrize(
    "text",
    [
        "mqtt: {host: 'mqtt://ann:s3cret@broker:1883'}",
        "mqtt: {host: 'ann:s3cret@broker'}",
        "sinks: [{type: webhook, url: 'ftp://ann:s3cret@example.org'}]",
        "sources: [{type: stream, url: [s3cret]}]",
        "sources: [{type: stream, url: http://cam/x?token=s3cret: 1}]",
        "sources: [{type: stream, url: 'http://cam/x?token=s3cret}]",
        "mqtt: {password: s3cret}",
        "clips: {base_url: 'http://ann:s3cret@hall.local/clips'}",
        "clips: {base_url: 'http://hall.local/clips?token=s3cret'}",
    ],
)
def test_no_error_repeats_a_secret(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongUse) as refused:
        load_config(file)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("host", ["broker", "broker.local", "10.0.0.2", "::1", "fe80::1%eth0"])
def test_hosts_of_a_broker(host: str) -> None:
    assert Mqtt(host=host).host == host


@pytest.mark.parametrize("host", ["mqtt://broker", "broker:1883", "ann@broker", "broker/mqtt", "my broker"])
def test_what_is_no_host_is_told_where_its_parts_go(host: str) -> None:
    with pytest.raises(ValueError, match="must be a host name or an IP address alone.*mqtt.port, mqtt.username"):
        Mqtt(host=host)


def test_a_tilde_is_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    file = tmp_path / "config.yaml"
    file.write_text("store: {path: ~/events.db}\nmqtt: {tls: {ca_file: ~/ca.pem}}\nmodel: ~/m\n", encoding="utf-8")
    config = load_config(file)
    assert config.store.effective_path == Path("/home/ann/events.db")
    assert config.mqtt.tls.ca_file == Path("/home/ann/ca.pem")
    assert config.model == Path("/home/ann/m")
    file.write_text("store: {path: ~nobody-of-that-name/events.db}\n", encoding="utf-8")
    with pytest.raises(WrongUse, match="this user has none; write the whole path"):
        load_config(file)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("device: hall\nmqqt:\n  host: x\n", 2, "unknown key 'mqqt' (did you mean 'mqtt'?)"),
        ("mqtt:\n  hots: broker\n", 2, "unknown key 'mqtt.hots' (did you mean 'host'?)"),
        ("mqtt:\n  tls:\n    cafile: x\n", 3, "(did you mean 'ca_file'?)"),
        ("events:\n  labels:\n    Dog: {on_treshold: 0.5}\n", 3, "(did you mean 'on_threshold'?)"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"model: {'x' * 256}\n", "model: no file can have such a long name"),
        (f"store: {{path: {'x' * 201}}}\n", "store.path: the file's name is too long"),
        ("store: {path: /}\n", "store.path: must name a file, not only a folder"),
        ("sinks: [{type: file, path: x/..}]\n", "sinks[0].path: must name a file"),
        ("events: {merge_gap: 1.0e+10}\n", "events.merge_gap: input should be less than or equal to 1000000000"),
        (f"mqtt: {{client_id: {'x' * 16_001}}}\n", "mqtt.client_id: string should have at most 16000 characters"),
        (f"mqtt: {{prefix: {'x' * 1_001}}}\n", "mqtt.prefix: string should have at most 1000 characters"),
        ("# " + "x" * (1 << 20), "is larger than 1 MB, which no configuration is"),
    ],
)
def test_what_could_only_fail_later_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongUse) as refused:
        load_config(file)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("web", "address"),
    [
        ({}, None),
        ({"host": "::1"}, None),
        ({"host": "192.0.2.7", "enabled": False}, None),
        ({"host": "192.0.2.7", "port": 80}, "http://192.0.2.7:80"),
        ({"host": "2001:db8::7"}, "http://[2001:db8::7]:8490"),
        ({"host": "0.0.0.0"}, "http://hall.local:8490"),
        ({"host": "::", "names": ["sounds.lan", "other"]}, "http://sounds.lan:8490"),
    ],
)
def test_the_pages_address_for_other_machines(
    web: dict[str, object], address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "hall")
    assert Config.model_validate({"web": web}).web.address == address


@pytest.mark.parametrize(("given", "means"), [(True, "device"), (False, False), ("entities", "entities")])
def test_discovery_takes_what_it_took_before(given: object, means: object) -> None:
    assert Config.model_validate({"home_assistant": {"discovery": given}}).home_assistant.discovery == means
