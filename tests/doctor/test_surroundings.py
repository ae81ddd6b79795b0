"""Clock, memory, service, clips, page and configuration, as different machines have them."""

import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asit_edge.config.root import Config
from asit_edge.config.web import WebSettings
from asit_edge.doctor.checks import clips, clock, configuration, memory, page, service
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import WrongUse
from asit_edge.store.store import Store
from tests.integration.mosquitto import free_port
from tests.store.samples import event

NOW = time.time()


def patient(config: dict[str, Any] | None = None, file: Path | None = None, **sections: object) -> Patient:
    return Patient(Config.model_validate(config or {}).model_copy(update=sections), file)


# The clock.


def clock_at(monkeypatch: pytest.MonkeyPatch, epoch: float, state: int | None, store: Path) -> Finding:
    monkeypatch.setattr(clock.time, "time", lambda: epoch)
    monkeypatch.setattr(clock, "kernel_state", lambda: state)
    [found] = clock.look(patient({"store": {"path": store}}))
    return found


@pytest.mark.parametrize(
    ("epoch", "state", "grade", "words"),
    [
        (NOW, 0, "ok", "kept by NTP"),
        (NOW, None, "ok", "cannot be told"),
        (NOW, clock.UNSYNCHRONISED, "warning", "nothing keeps it"),
        (0.0, 0, "wrong", "it is 1970-01-01 00:00:00 UTC"),
    ],
)
def test_a_clock_is_kept_and_plausible(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, epoch: float, state: int | None, grade: str, words: str
) -> None:
    found = clock_at(monkeypatch, epoch, state, tmp_path / "events.db")
    assert found.grade == grade
    assert words in found.found
    assert bool(found.remedy) == (grade != "ok")


def test_events_from_the_future_tell_of_a_clock_that_was_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = Store(tmp_path / "events.db")
    store.commit([event(0).model_copy(update={"onset_epoch": NOW + 3_600})], "mic/event")
    store.close()
    found = clock_at(monkeypatch, NOW, 0, tmp_path / "events.db")
    assert found.grade == "wrong"
    assert "the newest event in the store began 3600 s later" in found.found
    assert clock_at(monkeypatch, NOW + 3_600, 0, tmp_path / "events.db").grade == "ok"


def test_this_kernel_says_something_of_its_clock_or_nothing() -> None:
    assert clock.kernel_state() in {None, 0, 1, 2, 3, 4, 5}


# Memory.


@pytest.mark.parametrize(("available", "grade"), [(1_000_000, "ok"), (100_000, "warning")])
def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, available: int, grade: str) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(
        f"MemTotal:        2000000 kB\nMemFree: 1 kB\nMemAvailable:   {available} kB\nHugePages_Total:  0\n"
    )
    sizes = memory.sizes
    monkeypatch.setattr(memory, "sizes", lambda: sizes(meminfo))
    [found] = memory.look(patient())
    assert found.grade == grade
    assert f"{available * 1024 / 1e6:.0f} of 2048 MB" in found.found


@pytest.mark.parametrize("text", ["", "MemTotal:\n", "MemTotal: much kB\n", "MemTotal: 5 kB\n"])
def test_memory_that_is_not_told(tmp_path: Path, text: str) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(text)
    assert memory.sizes(meminfo) is None
    assert memory.sizes(tmp_path / "none") is None


# The service.

RUNS = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}


@pytest.mark.parametrize(
    ("facts", "grade", "words"),
    [
        ({**RUNS, "StatusText": "mic: listening"}, "ok", "the service is active: mic: listening"),
        ({**RUNS, "UnitFileState": "disabled"}, "warning", "it is not enabled"),
        ({**RUNS, "NRestarts": "77"}, "warning", "started again 77 time(s)"),
        ({**RUNS, "ActiveState": "activating"}, "warning", "activating"),
        ({**RUNS, "ActiveState": "failed", "Result": "exit-code"}, "wrong", "has failed (exit-code)"),
        ({**RUNS, "ActiveState": "inactive"}, "warning", "installed, and inactive"),
    ],
)
def test_a_unit_is_judged_by_what_systemd_says(facts: dict[str, str], grade: str, words: str) -> None:
    found = service.unit_finding(facts, [])
    assert found is not None
    assert found.grade == grade
    assert words in found.found
    own = service.unit_finding(facts, ["--user"])
    assert own is not None
    if grade != "ok":
        assert "--user" in own.remedy
        assert "sudo" not in own.remedy


@pytest.mark.parametrize("facts", [{}, {"LoadState": "not-found", "ActiveState": "inactive"}])
def test_there_is_no_such_unit(facts: dict[str, str]) -> None:
    assert service.unit_finding(facts, []) is None


def with_systemctl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> list[Finding]:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(service, "RUNNING", tmp_path)
    return list(service.look(patient()))


def test_systemd_is_asked_for_units_of_the_system_and_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    facts = "\\n".join(f"{name}={value}" for name, value in RUNS.items())
    found = with_systemctl(
        monkeypatch, tmp_path, f'[ "$1" = --user ] && printf "LoadState=not-found\\n" || printf "{facts}\\n"'
    )
    assert [(one.grade, one.found) for one in found] == [("ok", "the service is active")]
    assert found[0].remedy.startswith("sudo STATE_DIRECTORY=/var/lib/asit-edge asit-edge doctor")


def test_without_a_unit_it_is_said_how_to_install_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [found] = with_systemctl(monkeypatch, tmp_path, "exit 1")
    assert (found.grade, found.found) == ("ok", "not installed as a service")
    assert found.remedy.startswith("asit-edge service install")


def test_a_systemd_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service, "ASK_SECONDS", 0.2)
    began = time.monotonic()
    with_systemctl(monkeypatch, tmp_path, "exec sleep 30")
    assert time.monotonic() - began < 5


def test_without_systemd_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(service, "RUNNING", tmp_path / "none")
    [found] = service.look(patient())
    assert (found.grade, "no systemd" in found.found) == ("ok", True)


# Clips and the page.


def test_clips_are_looked_at_where_they_are_asked_for(tmp_path: Path) -> None:
    [found] = clips.look(patient(clips=SimpleNamespace(enabled=False)))
    assert (found.grade, found.found) == ("ok", "none are kept")
    for folder, grade in ((tmp_path, "ok"), (Path("/proc/clips"), "wrong")):
        [found] = clips.look(patient(clips=SimpleNamespace(enabled=True, effective_folder=folder)))
        assert (found.check, found.grade) == ("clips", grade)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/healthz"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "grade", "words"),
    [
        (200, b"{}", "ok", "all is well"),
        (503, json.dumps({"problems": ["source mic: lost", "disk full"]}).encode(), "warning", "mic: lost; disk full"),
        (503, b"\xff nonsense", "warning", "something is wrong"),
        (503, b"[]", "warning", "something is wrong"),
        (404, b"", "warning", "answers 404"),
    ],
)
def test_the_listener_that_runs_is_asked_how_it_is(status: int, body: bytes, grade: str, words: str) -> None:
    with answering(status, body) as port:
        [found] = page.page_findings(WebSettings(port=port), 4711)
    assert found.grade == grade
    assert words in found.found


def test_what_is_wrong_is_asked_for_with_the_token_by_its_owner_alone(tmp_path: Path) -> None:
    token = tmp_path / "the token"
    token.write_text("hush-hush-hush")
    with answering(503, b'{"ok": false}') as port:
        [found] = page.page_findings(WebSettings(port=port, token_file=token), 4711)
    assert "whoever has the token" in found.found
    assert "hush-hush-hush" not in found.to_json()
    typed = f"curl() {{ printf '%s\\n' \"$@\"; }}; {found.remedy}"
    asked = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, timeout=30, check=True).stdout
    assert asked.splitlines() == [
        "-s",
        "-H",
        "Authorization: Bearer hush-hush-hush",
        f"http://127.0.0.1:{port}/healthz",
    ]


def test_a_page_that_does_not_answer(tmp_path: Path) -> None:
    [found] = page.page_findings(WebSettings(port=free_port()), 4711)
    assert (found.grade, "does not answer" in found.found) == ("wrong", True)


def test_a_port_for_the_page_is_free_or_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        [found] = page.page_findings(WebSettings(port=taken.getsockname()[1]), None)
        assert (found.grade, "cannot be served on" in found.found) == ("wrong", True)
    [found] = page.page_findings(WebSettings(port=free_port()), None)
    assert found.grade == "ok"


def test_a_page_for_other_machines_needs_its_token(tmp_path: Path) -> None:
    def looked_at(token: Path | None) -> list[Finding]:
        return list(page.page_findings(WebSettings(host="0.0.0.0", port=free_port(), token_file=token), None))

    [found] = looked_at(None)
    assert (found.grade, "web.token_file" in found.remedy) == ("wrong", True)
    token = tmp_path / "token"
    token.write_text("hush-hush-hush")
    [found] = looked_at(token)
    assert found.grade == "ok"
    assert "hush-hush" not in found.to_json()
    with pytest.raises(WrongUse, match=r"web\.token_file"):
        looked_at(tmp_path / "none")
    token.write_text("hush-hush")
    with pytest.raises(WrongUse, match=r"a token of 9 characters can be guessed"):
        looked_at(token)


def test_the_page_is_looked_at_where_it_is_asked_for() -> None:
    [found] = page.look(patient(web=WebSettings(enabled=False)))
    assert found.grade == "ok"
    web = WebSettings(port=free_port())
    [found] = page.look(patient(web=web))
    assert found.found == f"127.0.0.1:{web.port}: free for a listener"


# The configuration.


def test_without_a_configuration_it_is_said_how_to_have_one() -> None:
    [found] = configuration.look(patient())
    assert (found.grade, "defaults apply" in found.found) == ("ok", True)


def test_what_others_can_read_of_secrets_is_told_and_no_secret_is(tmp_path: Path) -> None:
    file, password, token = tmp_path / "config.yaml", tmp_path / "password", tmp_path / "token"
    for one in (file, password, token):
        one.write_text("hunter2")
        one.chmod(0o644)
    config = {
        "mqtt": {"host": "broker", "password_file": password},
        "sources": [{"type": "stream", "url": "rtsp://user:hunter2@camera/1"}],
        "sinks": [{"type": "webhook", "url": "https://hooks.example.org/", "token_file": token}],
    }
    found = list(configuration.look(patient(config, file)))
    assert [one.grade for one in found] == ["ok", "warning", "warning", "warning"]
    assert [one.found.partition(":")[0] for one in found[1:]] == [str(file), str(password), str(token)]
    assert not any("hunter2" in one.to_json() for one in found)
    for one in found[2:]:
        subprocess.run(one.remedy.removeprefix("sudo "), shell=True, check=True)
    config["sources"] = [{"type": "stream", "url": "rtsp://user:${PASSWORD}@camera/1"}]
    assert [one.grade for one in configuration.look(patient(config, file))] == ["ok"]


def test_every_file_of_a_secret_that_others_can_read_is_told_and_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"

    def secret(name: str) -> Path:
        path = tmp_path / name
        path.touch()
        path.chmod(0o644)
        return path

    config = {
        "mqtt": {"tls": {name: secret(name) for name in ("ca_file", "cert_file", "key_file")}},
        "web": {"token_file": secret("page")},
        "sinks": [
            {"type": "ntfy", "server": "https://h", "topic_file": secret("topic"), "token_file": secret("token")},
            {"type": "pushover", "token_file": secret("application"), "user_file": secret("user")},
            {"type": "apprise", "url_file": secret("url")},
        ],
    }
    told = [one.found.partition(":")[0] for one in configuration.look(patient(config, file)) if one.grade == "warning"]
    names = {"key_file", "page", "topic", "token", "application", "user", "url"}
    assert sorted(told) == sorted(str(tmp_path / name) for name in names)


def test_a_configuration_without_secrets_may_be_read_by_all(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("device: hall")
    file.chmod(0o644)
    [found] = configuration.look(patient({"device": "hall", "mqtt": {"host": "broker.local"}}, file))
    assert found.grade == "ok"
    assert f"{file}: sources microphone (microphone); broker broker.local; device hall" == found.found
