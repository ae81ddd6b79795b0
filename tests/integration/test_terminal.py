"""`listen`, `replay` and `demo` in a real terminal: what stands there, and whatever happens to it is no harm."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
import yaml

from asit_edge.errors import AsitEdgeError
from asit_edge.messages.event import Event
from asit_edge.store.history import history
from tests.cli.terminal.emulator import Grid, Terminal
from tests.conftest import RATE, ROOT, require_programs, tones
from tests.integration.mosquitto import wait_for

TONES = [(0, 0.3), (500, 0.4), (0, 0.7), (3000, 0.4), (0, 0.4)] * 30


def configured(folder: Path, bundle: Path, **more: object) -> str:
    """A listener to tones of which one sounds, and ends, every second."""
    folder.mkdir(exist_ok=True)
    sound, config = folder / "sound.wav", folder / "config.yaml"
    soundfile.write(sound, tones(*TONES), RATE)
    settings = {
        "model": str(bundle),
        "sources": [{"type": "file", "name": "mic", "path": str(sound)}],
        "events": {"merge_gap": 0.2, "update_every": 0.2},
        "store": {"path": str(folder / "events.db")},
    }
    config.write_text(yaml.safe_dump({**settings, **more}), encoding="utf-8")
    return str(config)


def ended(grid: Grid, count: int) -> bool:
    """So many lines of events that are over."""
    return sum(row.endswith(" s") and "tone" in row and "●" not in row for row in grid.everything) >= count


def stored(folder: Path) -> list[Event]:
    try:
        return list(history(folder / "events.db"))
    except AsitEdgeError:
        return []


def test_listen_shows_one_line_an_event_over_a_live_meter(tmp_path: Path, tone_bundle: Path) -> None:
    with Terminal("listen", "--config", configured(tmp_path, tone_bundle)) as terminal:
        terminal.until(lambda grid: any(row.startswith("● ") and "tone" in row for row in grid.shown))
        terminal.until(lambda grid: ended(grid, 2))
        level, scores = terminal.grid.shown[-2:]
        heading = next(row for row in terminal.grid.shown if row.startswith("── "))
        assert "Ctrl+C ends" in heading
        assert level.startswith("mic") or scores.startswith("mic")
        assert "dB" in level + scores
        assert terminal.grid.colours > 10
        assert sum("listening at 16000 Hz" in row for row in terminal.grid.everything) == 1, "the log, whole"
        terminal.type(b"\x03")
        assert terminal.end() == 0
        rows = terminal.grid.everything
        assert rows[-1].startswith("heard ")
        assert ", no gaps; " in rows[-1]
        assert "Low tone " in rows[-1]
        assert not [row for row in rows if row.startswith(("── ", "● "))], "the meter is gone"
        assert terminal.grid.beyond == []
    events = [event for event in stored(tmp_path) if event.type == "end"]
    shown = [row.split() for row in rows if "tone" in row and not row.startswith(("heard", "asit-edge"))]
    assert [words[-2] for words in shown] == [f"{event.duration:.1f}" for event in events], "a line for each, in order"
    assert all(words[0].count(":") == 2 for words in shown)


def test_piped_or_asked_for_it_is_the_same_json_as_ever(tmp_path: Path, tone_bundle: Path) -> None:
    piped, asked = tmp_path / "piped", tmp_path / "asked"
    command = [sys.executable, "-m", "asit_edge", "listen", "--config", configured(piped, tone_bundle)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process, Terminal("listen", "--json", "--config", configured(asked, tone_bundle), columns=1000) as terminal:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        terminal.until(lambda grid: sum(row.startswith("{") for row in grid.everything) >= 3)
        terminal.type(b"\x03")
        assert terminal.end() == 0
        lines += process.stdout.read().splitlines(keepends=True)
        assert process.wait(30) == 0
        rows = [row.removeprefix("^C") for row in terminal.grid.everything if '{"schema"' in row]
    assert lines == [f"{event.to_json()}\n" for event in stored(piped)]
    assert rows == [event.to_json() for event in stored(asked)]
    assert not terminal.grid.colours


def test_lines_for_people_in_a_pipe_are_plain(tmp_path: Path, tone_bundle: Path) -> None:
    config = configured(tmp_path, tone_bundle)
    command = [sys.executable, "-m", "asit_edge", "listen", "--no-json", "--config", config]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.terminate()
        lines += process.stdout.read().splitlines(keepends=True)
        assert process.wait(30) == 0
    assert lines[0].split()[-1] == "begins"
    assert lines[1].split()[-1] == "s"
    assert lines[-1].startswith("heard ")
    assert "\x1b" not in "".join(lines)
    told = [event for event in stored(tmp_path) if event.type != "update"]
    assert len(lines) == len(told) + 1


def test_whoever_reads_plain_lines_may_leave(tmp_path: Path, tone_bundle: Path) -> None:
    config = configured(tmp_path, tone_bundle)
    command = [sys.executable, "-m", "asit_edge", "listen", "--no-json", "--config", config]
    line = '"$@" | head -n 1; exit "${PIPESTATUS[0]}"'
    done = subprocess.run(["bash", "-c", line, "bash", *command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_window_that_is_resized_shows_everything_once_more(tmp_path: Path, tone_bundle: Path) -> None:
    with Terminal("listen", "--config", configured(tmp_path, tone_bundle)) as terminal:
        terminal.until(lambda grid: ended(grid, 1))
        for columns, rows in ((90, 30), (60, 20), (40, 12)):
            terminal.resize(columns, rows)
        terminal.until(lambda grid: grid.columns == 40 and any("Ctrl+C" in row for row in grid.shown))
        terminal.until(lambda grid: ended(grid, 3))
        narrow = [row for row in terminal.grid.shown if "tone" in row and row.endswith(" s")]
        assert narrow
        assert all(len(row) < 40 for row in terminal.grid.shown)
        assert sum(row.startswith("── ") for row in terminal.grid.shown) == 1, "one meter"
        terminal.resize(120, 40)
        terminal.until(lambda grid: any(row.startswith("── ") and len(row) > 100 for row in grid.shown))
        assert sum(row.startswith("── ") for row in terminal.grid.shown) == 1
        terminal.type(b"\x03")
        assert terminal.end() == 0


def test_what_a_terminal_cannot_or_must_not_show_is_left_out(tmp_path: Path, tone_bundle: Path) -> None:
    environments = {
        "colourless": {"NO_COLOR": "1"},
        "ascii": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        "dumb": {"TERM": "dumb"},
    }
    raw: dict[str, bytes] = {}
    with ExitStack() as stack:
        terminals = {
            name: stack.enter_context(
                Terminal("listen", "--config", configured(tmp_path / name, tone_bundle), environment=environment)
            )
            for name, environment in environments.items()
        }
        for name, terminal in terminals.items():
            terminal.until(lambda grid: ended(grid, 2))
            terminal.type(b"\x03")
            assert terminal.end() == 0
            assert terminal.grid.everything[-1].startswith("heard ")
            raw[name] = terminal.raw
    assert not re.search(rb"\x1b\[[0-9;]*[349][0-7]m", raw["colourless"])
    assert "█".encode() in raw["colourless"]
    assert raw["ascii"].isascii()
    assert b"##" in raw["ascii"]
    assert b"\x1b" not in raw["dumb"]
    assert b" begins" in raw["dumb"]


def test_a_terminal_that_hangs_stops_neither_listening_nor_sigterm(tmp_path: Path, tone_bundle: Path) -> None:
    """Nobody reads the other side, as after Ctrl+S."""
    with Terminal("listen", "--config", configured(tmp_path, tone_bundle)) as terminal:
        terminal.until(lambda grid: ended(grid, 1))
        terminal.type(b"\x13")  # Ctrl+S: the kernel takes nothing more
        before = len(stored(tmp_path))
        wait_for(lambda: len(stored(tmp_path)) >= before + 6, 60, "events go on")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(20) == 0
    events = [event.type for event in stored(tmp_path)]
    assert events.count("new") == events.count("end")


def test_a_window_that_is_closed_ends_it_in_order_unless_it_is_told_to_go_on(tmp_path: Path, tone_bundle: Path) -> None:
    ends, stays = tmp_path / "ends", tmp_path / "stays"
    deaf = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    with (
        Terminal("listen", "--config", configured(ends, tone_bundle)) as one,
        Terminal("listen", "--config", configured(stays, tone_bundle), before=deaf) as other,
    ):
        one.until(lambda grid: ended(grid, 1))
        one.close()
        other.until(lambda grid: ended(grid, 1))
        other.close()
        assert one.process.wait(30) == 0
        before = len(stored(stays))
        wait_for(lambda: len(stored(stays)) >= before + 4, 30, "events go on")
        other.process.terminate()
        assert other.process.wait(20) == 0
    for folder in (ends, stays):
        events = [event.type for event in stored(folder)]
        assert events.count("new") == events.count("end")


def test_stopped_and_continued_it_is_painted_anew(tmp_path: Path, tone_bundle: Path) -> None:
    require_programs("bash")
    shell = ["bash", "-m", "-c", '"$@"; echo; echo It is stopped; read -r; fg', "bash"]
    with Terminal("listen", "--config", configured(tmp_path, tone_bundle), before=shell) as terminal:
        terminal.until(lambda grid: ended(grid, 1))
        terminal.type(b"\x1a")  # Ctrl+Z
        terminal.until(lambda grid: "It is stopped" in grid.shown)
        assert not [row for row in terminal.grid.shown if row.startswith("── ")], "the shell gets a clean line"
        terminal.type(b"\r")
        terminal.until(lambda grid: "It is stopped" in grid.scrolled and any("Ctrl+C" in row for row in grid.shown))
        terminal.until(lambda grid: ended(grid, 2))
        assert sum(row.startswith("── ") for row in terminal.grid.shown) == 1
        terminal.type(b"\x03")
        assert terminal.end() == 0


def test_where_nobody_could_let_it_go_on_it_does_not_stop(tmp_path: Path, tone_bundle: Path) -> None:
    with Terminal("listen", "--config", configured(tmp_path, tone_bundle)) as terminal:
        terminal.until(lambda grid: ended(grid, 1))
        terminal.type(b"\x1a")
        terminal.until(lambda grid: ended(grid, 3))
        terminal.type(b"\x03")
        assert terminal.end() == 0


def test_the_log_elsewhere_is_not_in_the_picture(tmp_path: Path, tone_bundle: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        config = configured(tmp_path, tone_bundle)
        with Terminal("listen", "--config", config, error=log.fileno()) as terminal:
            terminal.until(lambda grid: ended(grid, 1))
            terminal.type(b"\x03")
            assert terminal.end() == 0
    assert "listening at 16000 Hz" in (tmp_path / "log").read_text()
    assert not [row for row in terminal.grid.everything if "asit-edge" in row]


def test_what_is_wrong_is_said_where_it_can_be_read(tmp_path: Path, tone_bundle: Path) -> None:
    config = configured(tmp_path, tone_bundle, events={"only": ["Low tune"]})
    with Terminal("listen", "--config", config) as terminal:
        assert terminal.end() == 2
        assert terminal.grid.everything[-1].startswith(
            "asit-edge: error: events.only: the model has no label 'Low tune'"
        )
        assert not [row for row in terminal.grid.everything if row.startswith(("── ", "heard"))]


def test_replay_shows_positions_or_the_times_that_it_is_given(tone_bundle: Path, tone_file: Path) -> None:
    command = ["replay", str(tone_file), "--model", str(tone_bundle)]
    with Terminal(*command) as terminal:
        assert terminal.end() == 0
        rows = terminal.grid.everything
    assert [row.split()[0] for row in rows[:-1]] == ["00:00.96", "00:04.00", "00:08.00"]
    assert rows[-1] == "heard 10.0 s, no gaps; 3 events: Low tone 2 · High tone 1"
    with Terminal(*command, "--start", "2026-05-01T23:59:56Z", environment={"TZ": "UTC"}) as terminal:
        assert terminal.end() == 0
        rows = terminal.grid.everything
    assert [row.split()[0] if "tone" in row else row for row in rows[:-1]] == [
        *["── 2026-05-01 ──", "23:59:56", "── 2026-05-02 ──", "00:00:00", "00:00:04"]
    ]


def test_replay_that_is_piped_is_what_it_was(tone_bundle: Path, tone_file: Path) -> None:
    command = [sys.executable, "-m", "asit_edge", "replay", str(tone_file), "--model", str(tone_bundle)]
    plain, as_json = (
        subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        for more in ((), ("--json",))
    )
    assert plain[0] == "new    Low tone                       peak 0.96  1970-01-01T00:00:00.960Z"
    assert [line.split()[0] for line in plain] == [json.loads(line)["type"] for line in as_json]


def test_ctrl_c_ends_a_replay_with_what_was_heard(tmp_path: Path) -> None:
    samples, rate = soundfile.read(ROOT / "asit_edge" / "recordings" / "demo.flac", dtype="float32")
    sound = tmp_path / "long.flac"
    soundfile.write(sound, np.tile(samples, 60), rate)  # 45 minutes: the bundled model needs seconds for them
    with Terminal("replay", str(sound)) as terminal:
        terminal.until(lambda grid: any("Baby cry" in row for row in grid.everything))
        terminal.type(b"\x03")
        assert terminal.end() == 130
        assert any(row.startswith("heard ") for row in terminal.grid.everything[-3:]), "it may be wrapped"
        assert "Traceback" not in "".join(terminal.grid.everything)


def test_the_demonstration_is_coloured_in_a_terminal() -> None:
    with Terminal("demo") as terminal:
        assert terminal.end(60) == 0
        rows = terminal.grid.everything
        assert terminal.grid.colours > 30
    assert any("new" in row and "Dog" in row and row.endswith("asit/demo/demo/event") for row in rows)
    assert rows[-1].endswith("different sounds")


def test_what_shows_lines_is_not_loaded_where_nobody_looks(tmp_path: Path, tone_bundle: Path) -> None:
    config = configured(tmp_path, tone_bundle)
    program = (
        "import sys, threading, os, signal;"
        "threading.Timer(3, os.kill, (os.getpid(), signal.SIGTERM)).start();"
        f"sys.argv[1:] = ['listen', '--config', {config!r}];"
        "from asit_edge.cli.app import app;"
        "app(standalone_mode=False);"
        "print(sorted(name for name in sys.modules if name.startswith('rich')), file=sys.stderr)"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert time.monotonic() - began > 2
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
