"""The painter of a terminal against a real pseudo-terminal: lines stay, the foot changes, and nobody waits for it."""

import codecs
import fcntl
import logging
import os
import pty
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from rich.text import Text

from asit_edge.cli.terminal.divert import diverted
from asit_edge.cli.terminal.ink import Ink
from asit_edge.cli.terminal.look import Look, look_at, size_of
from asit_edge.cli.terminal.screen import MOST, Screen
from tests.cli.terminal.emulator import Grid

LOOK = Look(moves=True, colours=True, encoding="utf-8")


class Desk:
    """A pseudo-terminal, a screen that paints it, and what stands there."""

    def __init__(self, columns: int = 40, rows: int = 10, *, patient: bool = False) -> None:
        self.grid = Grid(columns, rows)
        self.master, self.slave = pty.openpty()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.size(columns, rows)
        self.foot = ["foot one", "foot two"]
        self.screen = Screen(
            self.slave, Ink(LOOK), lambda width, most: [Text(one) for one in self.foot], patient=patient
        )

    def size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def put(self, *lines: str) -> None:
        for one in lines:
            self.screen.put(lambda width, one=one: Text(one))  # type: ignore[misc]

    def until(self, shows: Callable[[list[str]], bool]) -> None:
        deadline = time.monotonic() + 20
        while not shows(self.grid.shown):
            if select.select([self.master], [], [], 0.05)[0]:
                self.grid.feed(self._decoder.decode(os.read(self.master, 1 << 16)))
            assert time.monotonic() < deadline, self.grid.shown
        assert self.grid.beyond == []

    def close(self) -> bool:
        closed: list[bool] = []
        thread = threading.Thread(target=lambda: closed.append(self.screen.close(20)))
        thread.start()
        while thread.is_alive() or select.select([self.master], [], [], 0.05)[0]:
            if select.select([self.master], [], [], 0.05)[0]:
                self.grid.feed(self._decoder.decode(os.read(self.master, 1 << 16)))
        thread.join()
        return closed[0]


@pytest.fixture
def desk() -> Iterator[Desk]:
    one = Desk()
    yield one
    one.screen.close(0.1)
    for descriptor in (one.master, one.slave):
        os.close(descriptor)


def test_lines_stay_above_the_foot_and_the_foot_goes_in_the_end(desk: Desk) -> None:
    desk.put("first")
    desk.until(lambda shown: shown == ["first", "foot one", "foot two"])
    desk.foot = ["foot three"]
    desk.put("second", "third")
    desk.until(lambda shown: shown == ["first", "second", "third", "foot three"])
    desk.foot = ["one", "two", "three", "four"]
    desk.until(lambda shown: shown == ["first", "second", "third", "one", "two", "three", "four"])
    desk.put("last")
    assert desk.close()
    assert desk.grid.everything == ["first", "second", "third", "last"]


def test_what_scrolls_out_is_whole(desk: Desk) -> None:
    lines = [f"line {number}" for number in range(100)]
    for one in lines:
        desk.put(one)
        time.sleep(0.002)
    desk.until(lambda shown: shown[-3:] == ["line 99", "foot one", "foot two"])
    assert desk.close()
    assert desk.grid.everything == lines


def test_a_foot_that_does_not_change_is_not_written_again(desk: Desk) -> None:
    desk.until(lambda shown: shown == ["foot one", "foot two"])
    assert not select.select([desk.master], [], [], 0.5)[0]


def test_a_terminal_that_was_resized_is_begun_anew(desk: Desk) -> None:
    desk.put("first", "a message that is longer than the terminal is wide")
    desk.until(lambda shown: shown[:1] == ["first"] and len(shown) == 5)
    assert desk.grid.shown[1] == "a message that is longer than the"
    for columns, rows in ((20, 6), (30, 12), (60, 12)):
        desk.grid.resize(columns, rows)
        desk.size(columns, rows)
    wide = ["first", "a message that is longer than the terminal is wide", "foot one", "foot two"]
    desk.until(lambda shown: shown == wide)
    assert "first" in desk.grid.scrolled, "what stood there is scrolled away, not wiped"
    desk.put("second")
    desk.until(lambda shown: shown[2:3] == ["second"])


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 3), (40, 1)])
def test_tiny_terminals_break_nothing(desk: Desk, size: tuple[int, int]) -> None:
    desk.until(lambda shown: len(shown) == 2)
    desk.grid.resize(*size)
    desk.size(*size)
    time.sleep(0.4)
    desk.put("wide line that wraps")
    time.sleep(0.2)
    desk.grid.resize(40, 10)
    desk.size(40, 10)
    desk.until(lambda shown: shown == ["wide line that wraps", "foot one", "foot two"])


def test_after_somebody_else_has_written_it_is_begun_anew(desk: Desk) -> None:
    desk.put("first")
    desk.until(lambda shown: shown == ["first", "foot one", "foot two"])
    os.write(desk.slave, b"\r\n[1]+  Stopped\r\n$ fg\r\n")
    desk.screen.disturbed()
    desk.until(lambda shown: "$ fg" in desk.grid.scrolled and shown == ["first", "foot one", "foot two"])


def test_what_is_written_like_to_a_file_is_put_line_by_line(desk: Desk) -> None:
    print("asit-edge: mic: lost", file=desk.screen)
    desk.screen.write("half ")
    desk.screen.write("a line\n")
    desk.until(lambda shown: shown[:2] == ["asit-edge: mic: lost", "half a line"])


def test_c_libraries_do_not_tear_it(desk: Desk) -> None:
    desk.until(lambda shown: len(shown) == 2)
    before = os.fstat(2)
    with diverted(2, desk.screen.write):
        os.write(2, b"ALSA lib pcm.c: overrun\r\nwithout an end \xff\t\x1b[2J")
        desk.until(lambda shown: shown[0] == "ALSA lib pcm.c: overrun")
    desk.until(
        lambda shown: (
            shown
            == [
                "ALSA lib pcm.c: overrun",
                "without an end \N{REPLACEMENT CHARACTER}\\t\\x1b[2J",
                "foot one",
                "foot two",
            ]
        )
    )
    assert os.path.samestat(os.fstat(2), before)


def test_a_terminal_that_hangs_holds_up_nobody(desk: Desk) -> None:
    """Nobody reads the other side: a few kilobytes fit."""
    began = time.monotonic()
    for number in range(5 * MOST):
        desk.put(f"line {number} {'x' * 30}")
        if number % MOST == 0:
            time.sleep(0.1)
    assert desk.screen.dropped > MOST
    assert not desk.screen.close(0.2)
    assert time.monotonic() - began < 5


def test_a_patient_one_waits_instead_and_loses_nothing() -> None:
    desk = Desk(patient=True)
    lines = [f"line {number} {'x' * 25}" for number in range(10 * MOST)]
    writer = threading.Thread(target=lambda: desk.put(*lines), daemon=True)
    writer.start()
    writer.join(1.0)
    assert writer.is_alive(), "it waits for a terminal that hangs"
    desk.until(lambda shown: shown[-3:-2] == [lines[-1]])
    assert desk.close()
    assert desk.grid.everything == lines
    assert desk.screen.dropped == 0
    os.close(desk.master)
    os.close(desk.slave)


def test_a_terminal_that_is_gone_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.until(lambda shown: len(shown) == 2)
    os.close(desk.master)
    with caplog.at_level(logging.ERROR):
        for number in range(2 * MOST):
            desk.put(f"line {number}")
        assert not desk.screen.close(10)
    assert caplog.records == [], "the signal for it says enough"
    os.close(desk.slave)


def test_a_foot_that_fails_ends_the_picture_and_says_so(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.until(lambda shown: len(shown) == 2)
    with caplog.at_level(logging.ERROR):
        desk.foot = [None]  # type: ignore[list-item]
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "the picture of the terminal failed" in caplog.records[0].message
    desk.put("a line")
    assert not desk.screen.close(5)


def test_a_picture_that_fails_under_many_lines_holds_up_nobody() -> None:
    """The log is written to the screen, too, and whoever has a line waits for a patient one."""
    failing = threading.Event()

    def foot(width: int, most: int) -> list[Text]:
        failing.wait(20)
        raise RuntimeError("no picture")

    master, slave = pty.openpty()
    screen = Screen(slave, Ink(LOOK), foot, patient=True)
    handler, log = logging.StreamHandler(screen), logging.getLogger("asit_edge.cli.terminal.screen")
    log.addHandler(handler)
    try:
        writer = threading.Thread(target=lambda: print("a line\n" * (2 * MOST), file=screen), daemon=True)
        writer.start()
        writer.join(0.5)
        failing.set()
        writer.join(10)
        assert not writer.is_alive()
        assert not screen.close(5)
    finally:
        log.removeHandler(handler)
        os.close(master)
        os.close(slave)


def test_what_a_stream_can_is_told_by_it_and_the_environment(desk: Desk) -> None:
    with open(os.dup(desk.slave), "w", encoding="utf-8") as terminal:
        assert look_at(terminal, {"TERM": "xterm"}).moves
        for name in ("dumb", "unknown", ""):
            assert not look_at(terminal, {"TERM": name}).colours
        assert size_of(terminal.fileno()) == (40, 10)
        desk.size(0, 0)
        assert size_of(terminal.fileno()) == (80, 24), "a serial console does not say"
    assert not look_at(terminal, {"TERM": "xterm"}).moves, "it is closed"
    assert not look_at(None, {"TERM": "xterm"}).moves
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8"), open(writing, "w", encoding="utf-8") as pipe:
        assert look_at(pipe, {"TERM": "xterm"}) == Look(moves=False, colours=False, encoding="utf-8")
