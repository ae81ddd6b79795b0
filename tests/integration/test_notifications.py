"""A real listener, sounds on its standard input, and phones that hear of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme
import yaml

from asit_edge.store.store import Store
from tests.conftest import tones
from tests.deliver.notify.services import (
    CHAT,
    SECRETS,
    TOKEN,
    TOPIC,
    USER,
    NtfyServer,
    PushoverServer,
    Reply,
    TelegramServer,
    secret_file,
)

SOUND = (tones((0, 0.5), (500, 0.7), (0, 1.5), (500, 0.7), (0, 1.5), (3000, 0.7), (0, 1.5)) * 32_767).astype("<i2")


@pytest.fixture
def phones(tmp_path: Path) -> Iterator[tuple[NtfyServer, PushoverServer, TelegramServer]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with (
        closing(NtfyServer(authority)) as ntfy,
        closing(PushoverServer()) as pushover,
        closing(TelegramServer()) as telegram,
    ):
        yield ntfy, pushover, telegram


def test_a_real_listener_notifies_and_its_log_tells_no_secret(
    tmp_path: Path, tone_bundle: Path, phones: tuple[NtfyServer, PushoverServer, TelegramServer]
) -> None:
    """A low tone twice and a high one; ntfy tells each label once, Pushover the high one, Telegram has a wrong chat."""
    ntfy, pushover, telegram = phones
    ntfy.replies = [Reply(503, {"error": f"not now, {TOPIC}"})]
    sinks = [
        {
            "type": "ntfy",
            "name": "phone",
            "server": ntfy.url,
            "ca_file": str(tmp_path / "ca.pem"),
            "topic": "${NTFY_TOPIC}",
            "token_file": str(secret_file(tmp_path, "ntfy", TOKEN["ntfy"])),
            "priorities": {"High tone": "high"},
        },
        {
            "type": "pushover",
            "server": pushover.url,
            "token_file": str(secret_file(tmp_path, "pushover", TOKEN["pushover"])),
            "user_file": str(secret_file(tmp_path, "user", USER)),
            "labels": ["High tone"],
            "types": ["end"],
            "message": "{label} for {duration}",
        },
        {
            "type": "telegram",
            "server": telegram.url,
            "token_file": str(secret_file(tmp_path, "telegram", TOKEN["telegram"])),
            "chat": CHAT + "0",
            "labels": ["High tone", "Hihg tone"],
        },
        {"type": "file", "name": "log", "path": str(tmp_path / "events.jsonl"), "types": ["new", "update", "end"]},
    ]
    config = {
        "device": "hall",
        "model": str(tone_bundle),
        "events": {"merge_gap": 0.3},
        "sinks": sinks,
        "store": {"path": str(tmp_path / "events.db")},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "asit_edge",
        "--verbose",
        "listen",
        "--stdin",
        "--config",
        tmp_path / "config.yaml",
    ]
    done = subprocess.run(
        command, input=SOUND.tobytes(), capture_output=True, timeout=60, env=os.environ | {"NTFY_TOPIC": TOPIC}
    )
    said = done.stderr.decode()
    assert done.returncode == 1, "the event for Telegram is kept"
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["label"] for event in events if event["type"] == "new"] == ["Low tone", "Low tone", "High tone"]
    assert [(one["title"], one["priority"]) for one in ntfy.messages] == [
        ("Low tone", 3),
        ("Low tone", 3),  # the first was told to come later
        ("High tone", 4),
    ]
    assert len(pushover.messages) == 1
    assert pushover.messages[0]["message"].startswith("High tone for 0.")
    assert "phone: an event is not told there: another 'Low tone' was told " in said
    assert f"phone: {ntfy.url} answered 503 not now, ***; events wait in the store" in said
    assert "telegram: " + telegram.url + " answered 400 Bad Request: chat not found; write to the bot once" in said
    assert (
        "sinks.telegram.labels: nothing that is listened for is called 'Hihg tone' (did you mean 'High tone'?)" in said
    )
    written = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(written) == len(events), "and another sink has everything"
    store = Store(tmp_path / "events.db")
    assert (store.count_waiting(), store.count_waiting("telegram"), store.refused) == (1, 1, 0)
    store.close()
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("events.*"))
    assert "Traceback" not in said
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in done.stdout + kept
