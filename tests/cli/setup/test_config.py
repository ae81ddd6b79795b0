"""`asit-edge config`: what is in force, whether it can be used, and an example."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def run(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "asit_edge", "config", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


def test_show_has_value_and_origin_of_every_key(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("device: hall\nmqtt:\n  host: broker\n", encoding="utf-8")
    done = run("show", "--config", file, "--json", ASIT_EDGE__MQTT__PORT="1884")
    assert done.returncode == 0, done.stderr
    shown = {one["key"]: (one["value"], one["origin"]) for one in map(json.loads, done.stdout.splitlines())}
    assert shown["mqtt.host"] == ("broker", f"{file}:3")
    assert shown["mqtt.port"] == (1884, "ASIT_EDGE__MQTT__PORT")
    assert shown["threads"] == (1, "default")
    done = run("show", "--config", file, "--changed", ASIT_EDGE__MQTT__PORT="1884")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["device:", '"hall"', f"{file}:1"],
        ["mqtt.host:", '"broker"', f"{file}:3"],
        ["mqtt.port:", "1884", "ASIT_EDGE__MQTT__PORT"],
    ]


def test_check_tells_all_that_would_fail_at_the_start(tone_bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    good = f"model: {tone_bundle}\nevents: {{only: [Low tone]}}\n"
    file.write_text(good, encoding="utf-8")
    done = run("check", "--config", file)
    assert (done.returncode, done.stdout) == (0, f"{file}: can be used\n"), done.stderr
    file.write_text(
        f"{good}mqtt: {{host: x, password_file: {tmp_path}/absent}}\n"
        'sources: [{type: stream, url: "rtsp://${NO_SUCH_NAME}/x", events: {only: [Low tune]}}]\n'
        "sinks: [{type: command, run: [no-such-program-here]}]\n",
        encoding="utf-8",
    )
    done = run("check", "--config", file)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.startswith("asit-edge: error: ") for line in lines)
    for wanted in ("mqtt.password_file", "NO_SUCH_NAME", "no-such-program-here", "did you mean 'Low tone'?"):
        assert sum(wanted in line for line in lines) == 1, lines


def test_check_looks_at_files_the_pages_token_and_parents(tone_bundle: Path, tmp_path: Path) -> None:
    file, token = tmp_path / "config.yaml", tmp_path / "token"
    token.write_text("short", encoding="utf-8")
    file.write_text(
        f"model: {tone_bundle}\nweb: {{host: 0.0.0.0, token_file: {token}}}\n"
        f"sources: [{{type: file, path: {tmp_path}/absent.wav}}]\nevents: {{parents: {{Low tone: Tune}}}}\n",
        encoding="utf-8",
    )
    done = run("check", "--config", file)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    for wanted in (f"web.token_file {token}", "absent.wav", "events.parents: the model has no label 'Tune'"):
        assert sum(wanted in line for line in lines) == 1, lines
    assert "short" not in done.stderr


def test_check_says_which_variable_is_wrong() -> None:
    done = run("check", ASIT_EDGE__MQTT__PROT="1")
    assert done.returncode == 2
    assert done.stderr == (
        "asit-edge: error: environment: there is no key for ASIT_EDGE__MQTT__PROT "
        "(did you mean 'ASIT_EDGE__MQTT__PORT'?)\n"
    )


def test_the_example_is_config_yaml() -> None:
    assert run("example").stdout == (ROOT / "config.yaml").read_text(encoding="utf-8")
