"""Every key can come from the environment, goes before the file there, and a mistake names the variable."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.config.effective import DEFAULT, Effective, effective
from asit_edge.config.environment import variable_of
from asit_edge.config.file import load_layers
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse


def load(values: Mapping[str, str], file: Path | None = None) -> Config:
    return load_layers(file, values).config


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def leaves(value: Any, location: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    models = isinstance(value, list) and value and isinstance(value[0], dict)
    if (isinstance(value, dict) and value) or models:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*location, key))
    else:
        yield location, value


def test_every_key_of_config_yaml_has_a_variable() -> None:
    defaults = Config().model_dump(mode="json")
    every = list(leaves(defaults))
    assert len(every) > 50
    variables = {variable_of(location): yaml.safe_dump(value).partition("\n...")[0] for location, value in every}
    loaded = load_layers(None, variables)
    assert loaded.config == Config()
    assert len(loaded.overrides) == len(every)
    assert {one.origin for one in effective(loaded)} == set(variables)


def test_the_environment_goes_before_the_file_key_by_key(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "device: hall\nmqtt:\n  host: a\n  port: 1\n"
        "sources:\n- {type: microphone, name: left}\n- {type: microphone, name: right}\n",
    )
    config = load({"ASIT_EDGE__MQTT__HOST": "b", "ASIT_EDGE__SOURCES__1__DEVICE": "usb:046d:0825"}, file)
    assert (config.device, config.mqtt.host, config.mqtt.port) == ("hall", "b", 1)
    assert [source.name for source in config.sources] == ["left", "right"]
    assert [source.model_dump()["device"] for source in config.sources] == [None, "usb:046d:0825"]


def test_lists_and_mappings_are_yaml_and_replace_what_the_file_has(tmp_path: Path) -> None:
    file = written(tmp_path, "events: {only: [Cat], labels: {Cat: {merge_gap: 2}}}\n")
    config = load(
        {
            "ASIT_EDGE__EVENTS__ONLY": '[Dog, "Baby cry, infant cry"]',
            "ASIT_EDGE__EVENTS__LABELS": "Dog:\n  on_threshold: 0.7\n",
            "ASIT_EDGE__SOURCES": "[{type: stdin, name: pipe}]",
            "ASIT_EDGE__SOURCES__0__RATE": "48000",
            "ASIT_EDGE__SOURCES__1": "{type: file, name: night, path: night.wav}",
        },
        file,
    )
    assert config.events.only == ["Dog", "Baby cry, infant cry"]
    assert list(config.events.labels) == ["Dog"]
    assert [source.name for source in config.sources] == ["pipe", "night"]
    assert config.sources[0].model_dump()["rate"] == 48_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0047", "0047"),
        ("47", "47"),
        ("@ann: #1", "@ann: #1"),
        ("true", "true"),
        ("*", "*"),
        ("'47'", "47"),
        (" a ", "a"),
    ],
)
def test_a_text_is_taken_as_it_stands(text: str, value: str) -> None:
    assert load({"ASIT_EDGE__MQTT__USERNAME": text}).mqtt.username == value


def test_null_switches_off_and_an_empty_variable_is_none(tmp_path: Path) -> None:
    file = written(tmp_path, "mqtt: {host: a, username: ann}\n")
    assert load({"ASIT_EDGE__MQTT__HOST": "null"}, file).mqtt.host is None
    assert load({"ASIT_EDGE__MQTT__HOST": "", "ASIT_EDGE__MQTT__PORT": "  "}, file).mqtt.host == "a"


def test_other_variables_are_nothing_to_it() -> None:
    assert load({"ASIT_EDGE_MQTT_PASSWORD": "x", "MQTT__HOST": "y", "HOME": "/"}) == Config()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ASIT_EDGE__MQTT__HOTS": "x"}, "no key for ASIT_EDGE__MQTT__HOTS (did you mean 'ASIT_EDGE__MQTT__HOST'?)"),
        ({"ASIT_EDGE__MQQT__HOST": "x"}, "no key for ASIT_EDGE__MQQT__HOST (did you mean 'ASIT_EDGE__MQTT'?)"),
        ({"ASIT_EDGE__MQTT": "{host: a}"}, "mqtt is a section; set its keys, such as ASIT_EDGE__MQTT__HOST"),
        ({"ASIT_EDGE__EVENTS__LABELS__DOG": "x"}, "give all of it as YAML in ASIT_EDGE__EVENTS__LABELS"),
        ({"ASIT_EDGE__EVENTS__ONLY": "[Dog"}, "ASIT_EDGE__EVENTS__ONLY: not valid YAML"),
        ({"ASIT_EDGE__MQTT__PORT": "none"}, "ASIT_EDGE__MQTT__PORT: mqtt.port: input should be a valid integer"),
        ({"ASIT_EDGE__SOURCES__3__NAME": "x"}, "sources has 1 entries; the next one is ASIT_EDGE__SOURCES__1"),
        ({"ASIT_EDGE__SOURCES": "[{type: stream}]"}, "ASIT_EDGE__SOURCES: key 'sources[0].url' is missing"),
        ({"ASIT_EDGE__SOURCES__1": "{type: radio}"}, "ASIT_EDGE__SOURCES__1: sources[1]"),
        ({"ASIT_EDGE__SOURCES__1": "{type: microphone}"}, "sources must have different names"),
        ({"ASIT_EDGE__": "x"}, "no key for ASIT_EDGE__"),
    ],
)
def test_a_mistake_names_the_variable(values: dict[str, str], message: str) -> None:
    with pytest.raises(WrongUse) as refused:
        load(values)
    assert str(refused.value).startswith("environment: ")
    assert message in str(refused.value)


def test_a_mistake_of_the_file_keeps_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "device: hall\nmqtt:\n  port: none\n")
    with pytest.raises(WrongUse, match=rf"^{file}:3: mqtt.port"):
        load({"ASIT_EDGE__MQTT__HOST": "a"}, file)
    assert load({"ASIT_EDGE__MQTT__PORT": "1"}, file).mqtt.port == 1
    file.write_text("mqtt: [1]\nsources: {a: 1}\n", encoding="utf-8")
    with pytest.raises(WrongUse, match=rf"^{file}:"):
        load({"ASIT_EDGE__MQTT__HOST": "a", "ASIT_EDGE__SOURCES__0__NAME": "b"}, file)


def test_no_error_repeats_a_secret_from_the_environment() -> None:
    for values in (
        {"ASIT_EDGE__MQTT__HOST": "mqtt://ann:s3cret@broker"},
        {"ASIT_EDGE__SINKS": "[{type: webhook, url: 'ftp://ann:s3cret@example.org'}]"},
        {"ASIT_EDGE__SINKS": "[s3cret"},
    ):
        with pytest.raises(WrongUse) as refused:
            load(values)
        assert "s3cret" not in str(refused.value)


@given(
    st.dictionaries(
        st.sampled_from(["MQTT", "HOST", "SOURCES", "0", "1", "EVENTS", "ONLY", "NAME", "x", ""]), st.text()
    )
)
def test_whatever_stands_there_is_used_or_refused_in_one_line(parts: dict[str, str]) -> None:
    names = list(parts)
    variables = {"ASIT_EDGE__" + "__".join(names[: count + 1]): parts[name] for count, name in enumerate(names)}
    try:
        config = load(variables)
    except WrongUse as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(config, Config)


SECRETS = """\
mqtt: {username: ann}
sources:
- {type: stream, url: "rtsp://ann:s3cret@camera.local/audio", options: ["-headers", "X: s3cret"]}
sinks:
- {type: webhook, url: "https://hooks.example.org/s3cret"}
- {type: command, run: [curl, -H, s3cret, --header=s3cret, -us3cret, --token, -s3cret]}
- {type: ntfy, server: "https://ntfy.example.org", topic: s3cret}
- {type: telegram, token: "${TOKEN}", chat: "@s3cret"}
"""


def test_what_is_in_force_tells_where_it_comes_from_and_no_secret(tmp_path: Path) -> None:
    loaded = load_layers(written(tmp_path, SECRETS), {"ASIT_EDGE__MQTT__HOST": "broker"})
    shown = {one.key: one for one in effective(loaded)}
    assert shown["mqtt.host"] == Effective("mqtt.host", "broker", "ASIT_EDGE__MQTT__HOST")
    assert shown["mqtt.username"].origin == f"{loaded.file}:1"
    assert shown["mqtt.port"] == Effective("mqtt.port", None, DEFAULT)
    assert shown["sources[0].url"] == Effective("sources[0].url", "*** (camera.local)", f"{loaded.file}:3")
    assert shown["sinks[0].url"].value == "*** (hooks.example.org)"
    assert shown["sources[0].options"].value == ["-headers", "***"]
    assert shown["sinks[1].run"].value == ["curl", "-H", "***", "--header=***", "-u***", "--token", "-s***"]
    assert shown["sinks[3].token"].value == "${TOKEN}"
    assert "s3cret" not in repr(list(shown.values()))
