"""Sinks that people read, as they are configured: secrets stand elsewhere, mistakes are named, and never a secret."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from asit_edge.config.file import load_config
from asit_edge.config.notifications import AppriseSink, NtfySink, PushoverSink, SinkSettings, TelegramSink
from asit_edge.config.root import Config
from asit_edge.deliver.routes import unheard
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import find_bundle, load_bundle
from tests.conftest import ROOT

KINDS = {"ntfy": NtfySink, "pushover": PushoverSink, "telegram": TelegramSink, "apprise": AppriseSink}
DOCUMENT = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, flags=re.MULTILINE | re.DOTALL)


def load(folder: Path, text: str) -> Config:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


def shown() -> list[dict[str, Any]]:
    """The examples in config.yaml, without the marks of a comment."""
    text = (ROOT / "config.yaml").read_text(encoding="utf-8").partition("\nsinks: []\n")[2].partition("\n\n")[0]
    return yaml.safe_load("\n".join(line.replace("  # ", "  ", 1) for line in text.splitlines()))


def test_config_yaml_shows_every_kind_and_every_key_with_its_default(tmp_path: Path) -> None:
    examples = shown()
    known = {kind.model_fields["type"].annotation.__args__[0]: kind for kind in SinkSettings.__args__[0].__args__}
    assert [one["type"] for one in examples] == list(known)
    common: set[str] = set()
    for example in examples:
        kind = known[example["type"]]
        assert set(example) <= set(kind.model_fields)
        common |= set(example)
        assert set(kind.model_fields) <= common | set(example), "what is for several is shown at the first"
        for key, value in example.items():
            field = kind.model_fields[key]
            default = field.get_default(call_default_factory=True)
            if not field.is_required() and value is not None and default is not None and key != "name":
                assert value == default, (example["type"], key)
    parsed = load(tmp_path, yaml.safe_dump({"sinks": examples})).sinks
    assert [one.type for one in parsed] == list(known)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_a_recipe_works_when_it_is_pasted(tmp_path: Path, block: str) -> None:
    config = load(tmp_path, block)
    assert config.sinks
    labels = [label.name for label in load_bundle(find_bundle(None)).manifest.labels]
    assert list(unheard(config, labels)) == [], "the bundled model knows them"


def test_there_is_a_recipe_for_every_kind() -> None:
    assert len(BLOCKS) >= 5
    assert set(re.findall(r"type: (\w+)", "".join(BLOCKS))) >= set(KINDS)


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("ntfy", "topic: x", ":2: key 'sinks[0].server' is missing"),
        ("ntfy", "server: https://ntfy.sh", ":2: sinks[0]: topic_file is missing (a file whose first line it is), or"),
        ("ntfy", "{server: https://ntfy.sh, topic: x, topic_file: y}", "topic and topic_file say the same"),
        ("ntfy", "{server: https://ntfy.sh/x, topic: x}", "sinks[0].server: must be http:// or https:// and a host"),
        ("ntfy", "{server: ntfy.sh, topic: x}", "sinks[0].server: must be http:// or https:// and a host"),
        ("ntfy", "{server: https://h, topic: my topic}", "sinks[0].topic: must be 1 to 64 letters, digits, _ and -"),
        ("ntfy", "{server: https://h, topic: x, titel: y}", "unknown key 'sinks[0].titel' (did you mean 'title'?)"),
        (
            "ntfy",
            "{server: https://h, topic: x, title: '{lable}'}",
            "title: there is no field {lable} (valid: {label},",
        ),
        ("ntfy", "{server: https://h, topic: x, priority: loud}", "priority: input should be 'low', 'normal', 'high'"),
        ("ntfy", "{server: https://h, topic: x, late_after: 1}", "late_after: input should be greater than or equal"),
        (
            "ntfy",
            "{server: https://h, topic: x, quiet_hours: [{begin: 22:00, end: 06:00, sources: [attic]}]}",
            "sinks.ntfy.quiet_hours: there is no source 'attic'",
        ),
        ("pushover", "{token_file: x}", "user_file is missing"),
        ("pushover", "{user_file: x}", "token_file is missing"),
        ("telegram", "{token_file: x}", "key 'sinks[0].chat' is missing"),
        ("telegram", "{token_file: x, chat: my chat}", "sinks[0].chat: must be the number of a chat, @ and the name"),
        ("apprise", "{name: x}", "url_file is missing"),
        ("apprise", "{url_file: x, timeout: 3}", "unknown key 'sinks[0].timeout'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, kind: str, keys: str, message: str) -> None:
    inner = keys if keys.startswith("{") else f"{{{keys}}}"
    with pytest.raises(WrongUse) as refused:
        load(tmp_path, f"sinks:\n  - {{type: {kind}, {inner[1:]}\n")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "keys",
    [
        "{type: ntfy, server: https://h, topic: x, token: s3cret}",
        "{type: ntfy, server: 'https://ann:s3cret@h/x', topic: x}",
        "{type: ntfy, server: https://h, topic: 's3cret topic'}",
        "{type: ntfy, server: https://h, topic: [s3cret]}",
        "{type: pushover, token: s3cret, user_file: x}",
        "{type: pushover, token_file: x, user: s3cret}",
        "{type: pushover, token: 553777, user: 553777}",
        "{type: telegram, token: '1:s3cret', chat: 1}",
        "{type: telegram, token_file: x, chat: 's3cret chat'}",
        "{type: telegram, token_file: x, chat: 553777.5}",
        "{type: apprise, url: 'tgram://s3cret/1'}",
        "{type: apprise, url_file: [s3cret]}",
    ],
)
def test_no_error_repeats_a_secret_of_a_notification(tmp_path: Path, keys: str) -> None:
    with pytest.raises(WrongUse) as refused:
        load(tmp_path, f"sinks:\n  - {keys}\n")
    assert "s3cret" not in str(refused.value)
    assert "553777" not in str(refused.value)


def test_a_numeric_topic_and_chat_are_texts(tmp_path: Path) -> None:
    ntfy, telegram = load(
        tmp_path,
        "sinks:\n- {type: ntfy, server: https://h, topic: 911}\n- {type: telegram, token: '${T}', chat: -100123}\n",
    ).sinks
    assert isinstance(ntfy, NtfySink)
    assert isinstance(telegram, TelegramSink)
    assert (ntfy.topic, telegram.chat) == ("911", "-100123")


def test_two_of_a_kind_need_names_of_their_own(tmp_path: Path) -> None:
    sink = {"type": "ntfy", "server": "https://h", "topic": "x"}
    with pytest.raises(WrongUse, match="sinks must have different names"):
        load(tmp_path, yaml.safe_dump({"sinks": [sink, sink]}))
    assert len(load(tmp_path, yaml.safe_dump({"sinks": [sink, {**sink, "name": "other"}]})).sinks) == 2
