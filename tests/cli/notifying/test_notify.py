"""`asit-edge notify test`: whoever has configured a sink sees at once what comes of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deliver.notify.services import SECRETS, TOKEN, TOPIC, NtfyServer, Reply, secret_file

NIGHT = [{"begin": "00:00", "end": "12:00"}, {"begin": "12:00", "end": "00:00"}]


@pytest.fixture
def server() -> Iterator[NtfyServer]:
    server = NtfyServer()
    yield server
    server.close()


def notify(folder: Path, *arguments: str, sinks: list[dict[str, Any]]) -> "subprocess.CompletedProcess[str]":
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({"device": "hall", "sinks": sinks}), encoding="utf-8")
    command = [sys.executable, "-m", "asit_edge", "notify", "test", *arguments, "--config", str(config)]
    environment = os.environ | {"NTFY_TOPIC": TOPIC}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def phone(folder: Path, server: NtfyServer, **more: Any) -> dict[str, Any]:
    token = secret_file(folder, "token", more.pop("token", TOKEN["ntfy"]))
    base = {"type": "ntfy", "name": "phone", "server": server.url, "topic": "${NTFY_TOPIC}", "token_file": str(token)}
    return base | more


def test_it_says_that_the_service_has_taken_it(tmp_path: Path, server: NtfyServer) -> None:
    done = notify(tmp_path, sinks=[phone(tmp_path, server)])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"phone: {server.url} has taken it; is it on your phone?\n"
    assert server.messages[0]["title"] == "Test of notifications"
    assert str(server.messages[0]["message"]).startswith("Heard by microphone (hall) at ")


def test_it_is_sent_whatever_would_hold_it_back_and_that_is_said(tmp_path: Path, server: NtfyServer) -> None:
    held = phone(tmp_path, server, quiet_hours=NIGHT, min_score=1.0, labels=["Dog"], priorities={"Siren": "urgent"})
    done = notify(tmp_path, "phone", sinks=[held])
    assert done.returncode == 0
    assert "asit-edge: phone: a real one would be held back now: quiet hours until " in done.stderr
    done = notify(tmp_path, "phone", "--label", "Siren", sinks=[held])
    assert (done.returncode, done.stderr) == (0, "")
    assert [(one["title"], one["priority"]) for one in server.messages] == [("Dog", 3), ("Siren", 5)]


def test_it_says_what_is_wrong_and_tries_the_others(tmp_path: Path, server: NtfyServer) -> None:
    server.replies = [Reply(403, {"error": f"forbidden: {TOPIC} {TOKEN['ntfy']}"})]
    done = notify(tmp_path, sinks=[phone(tmp_path, server), phone(tmp_path, server, name="other")])
    assert done.returncode == 1
    assert f"asit-edge: phone: {server.url} answered 403 forbidden: *** ***; this user may not write" in done.stderr
    assert done.stderr.splitlines()[-1] == "asit-edge: error: 1 sink(s) have not taken the example"
    assert done.stdout.startswith("other: ")
    assert not any(secret in text for secret in SECRETS for text in (done.stderr, done.stdout))


def test_any_sink_can_be_tried_by_name(tmp_path: Path) -> None:
    sinks = [
        {"type": "file", "name": "log", "path": str(tmp_path / "log"), "types": ["end"]},
        {"type": "command", "name": "siren", "run": ["sh", "-c", "echo no siren >&2; exit 3"]},
    ]
    assert notify(tmp_path, "log", sinks=sinks).stdout == "log: has taken it\n"
    written = json.loads((tmp_path / "log").read_text(encoding="utf-8"))
    assert (written["type"], written["label"], written["device"]) == ("end", "Test of notifications", "hall")
    failed = notify(tmp_path, "siren", sinks=sinks)
    assert failed.returncode == 1
    assert "asit-edge: siren: sh ended with 3: no siren" in failed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["phnoe"], "there is no sink 'phnoe' (did you mean 'phone'?)"),
        ([], "the configuration has no sink of the type ntfy, pushover, telegram or apprise"),
    ],
)
def test_what_is_not_configured_is_wrong_use(tmp_path: Path, arguments: list[str], message: str) -> None:
    sinks = [{"type": "file", "name": "phone", "path": str(tmp_path / "log")}]
    done = notify(tmp_path, *arguments, sinks=sinks)
    assert (done.returncode, done.stderr) == (2, f"asit-edge: error: {message}\n")


def test_a_secret_that_is_not_there_is_named(tmp_path: Path, server: NtfyServer) -> None:
    done = notify(tmp_path, sinks=[phone(tmp_path, server, token_file=str(tmp_path / "none"))])
    assert done.returncode == 2
    assert f"error: sinks.phone.token_file {tmp_path}/none: cannot be read (No such file or directory)" in done.stderr
