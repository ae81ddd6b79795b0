"""What a command writes, whatever files are called and whoever reads it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import require

ODD_NAMES = [
    b"mod\xe0.wav",
    b"two\nlines.wav",
    b"\x1b[2Jx.wav",
    b"-n.wav",
    b"http:x.wav",
    b"n" * 251 + b".wav",
    b"\xff.wav",
]


def run(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "asit_edge", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, timeout=120, env={**os.environ, **environment}, check=False
    )


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_files_of_any_name_are_heard(tone_bundle: Path, tone_file: Path, tmp_path: Path, locale: str) -> None:
    names = [os.fsdecode(name) for name in ODD_NAMES]
    for name in names:
        os.link(tone_file, tmp_path / name)
    environment = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = run(tmp_path, "tag", "--model", str(tone_bundle), "--json", "--", *names, **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len([json.loads(line) for line in done.stdout.decode().splitlines()]) == len(names)
    done = run(tmp_path, "tag", "--model", str(tone_bundle), "--", *names, **environment)
    assert [line.partition(": ")[0] for line in done.stdout.decode().splitlines()][:3] == [
        *[r"mod\xe0.wav", r"two\nlines.wav", r"\x1b[2Jx.wav"]
    ]
    done = run(tmp_path, "replay", "--model", str(tone_bundle), "--json", "--", names[0], **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {json.loads(line)["source"] for line in done.stdout.splitlines()} == {"mod"}


def test_files_of_any_name_are_named_in_one_line(tone_bundle: Path, tmp_path: Path) -> None:
    for name in [*map(os.fsdecode, ODD_NAMES), "n" * 300, "a/" * 3000]:
        for command in ("tag", "replay"):
            done = run(tmp_path, command, "--model", str(tone_bundle), "--", name)
            assert done.returncode in (1, 2)
            assert done.stderr.startswith(b"asit-edge: error: ")
            assert done.stderr.count(b"\n") == 1
            done.stderr.decode()


@pytest.mark.parametrize("command", [["schema", "event"], ["replay", "FILE"], ["tag", "FILE", "FILE"], ["--help"]])
@pytest.mark.parametrize("reader", ["head -c 1", "true"])
def test_it_is_no_failure_that_a_reader_leaves(
    tone_bundle: Path, tone_file: Path, command: list[str], reader: str
) -> None:
    words = [str(tone_file) if word == "FILE" else word for word in command]
    model = ["--model", str(tone_bundle)] if "FILE" in command else []
    line = f'"$@" | {reader}; exit "${{PIPESTATUS[0]}}"'
    shell = ["bash", "-c", line, "bash", sys.executable, "-m", "asit_edge", *words, *model]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["schema", "event"], ["replay", "FILE", "--json"]])
def test_output_that_cannot_be_written_is_named(tone_bundle: Path, tone_file: Path, command: list[str]) -> None:
    require(Path("/dev/full").exists(), "/dev/full")
    words = [str(tone_file) if word == "FILE" else word for word in command]
    model = ["--model", str(tone_bundle)] if "FILE" in command else []
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "asit_edge", *words, *model], stdout=full, stderr=subprocess.PIPE, timeout=120
        )
    assert done.returncode == 1
    assert done.stderr == b"asit-edge: error: standard output cannot be written (No space left on device)\n"
