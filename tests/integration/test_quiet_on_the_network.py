"""A machine with a microphone reaches nobody but whom it was told to: every system call of a run is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, require_programs, tones

CONTRARY = {"ORT_DISABLE_TELEMETRY": "0"}


def traced(tmp_path: Path, *command: str | Path, sound: bytes = b"") -> tuple[list[str], list[Path]]:
    """Runs a command to its end: the addresses it wanted to reach, and the files that it left in its home."""
    require_programs("strace")
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    environment = {**keep, "HOME": str(home), **CONTRARY}
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", calls, "-o", trace, sys.executable, *command],
        input=sound,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    reached = re.findall(r"sa_family=AF_INET6?, .*", trace.read_text(encoding="utf-8", errors="replace"))
    return reached, sorted(path.relative_to(home) for path in home.rglob("*") if path.is_file())


def test_tag_reaches_nobody_and_leaves_nothing(tmp_path: Path, tone_file: Path) -> None:
    reached, files = traced(tmp_path, "-m", "asit_edge", "tag", tone_file)
    assert reached == []
    assert files == []


def test_listening_reaches_nobody_and_writes_its_store_only(tmp_path: Path, tone_bundle: Path) -> None:
    sound = (tones((0, 0.5), (500, 1.0), (0, 0.5)) * 32_767).astype("<i2").tobytes()
    reached, files = traced(tmp_path, "-m", "asit_edge", "listen", "--stdin", "--model", tone_bundle, sound=sound)
    assert reached == []
    assert {path.parent for path in files} == {Path(".local/state/asit-edge")}
    assert {path.name for path in files} == {"events.db", "events.db.lock", "heard.json"}


def test_the_library_in_a_program_reaches_nobody(tmp_path: Path, tone_bundle: Path) -> None:
    program = f"import asit_edge; asit_edge.Detector({str(tone_bundle)!r})"
    assert traced(tmp_path, "-c", program) == ([], [])


@pytest.mark.parametrize(
    "module",
    ["asit_edge.cli.app", "asit_edge.detector", "asit_edge.model.backends.build", "export.onnx", "trainer.evaluate"],
)
def test_whatever_is_imported_first_telemetry_is_off(module: str) -> None:
    """ONNX Runtime reads the variable when it is loaded: it must be there before, whatever the user had set."""
    code = (
        "import builtins, importlib, os, sys\n"
        "real, seen = builtins.__import__, []\n"
        "def spy(name, *rest, **more):\n"
        "    if name.split('.')[0] == 'onnxruntime': seen.append(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
        "    return real(name, *rest, **more)\n"
        "builtins.__import__ = spy\n"
        f"importlib.import_module({module!r})\n"
        "import onnxruntime\n"
        "assert set(seen) == {'1'}, seen\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=os.environ | CONTRARY)


def test_the_service_says_so_too() -> None:
    unit = (ROOT / "systemd" / "asit-edge.service").read_text(encoding="utf-8")
    assert "Environment=ORT_DISABLE_TELEMETRY=1\n" in unit
