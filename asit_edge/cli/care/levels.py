"""`asit-edge devices --levels`: how loud every input device is, as bars in a terminal, as lines elsewhere."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from asit_edge.audio.level import FLOOR, Loudness, Meter
from asit_edge.audio.samples import Samples
from asit_edge.audio.sources.microphone import LONGEST_PAUSE, Microphone, find_device, input_devices
from asit_edge.audio.sources.source import Source
from asit_edge.audio.sources.stream import Stream
from asit_edge.audio.sources.usb import alsa_card
from asit_edge.cli.shared.options import stop_on_signals
from asit_edge.doctor.ear import Ear
from asit_edge.errors import AsitEdgeError, readable
from asit_edge.host.c_library import c_stderr_discarded
from asit_edge.host.sound_server import server_sources

if TYPE_CHECKING:
    from rich.table import Table

RATE = 16_000
"""Asked for in Hz; a device that has another one is heard at that."""

REFRESH = 0.1
"""Seconds between looks."""

QUIETEST = -70.0
"""dBFS at which a bar begins."""

OPENING_SECONDS = 10.0
"""How long devices may take until something comes."""

WIDTH = 40
HOLD = 1.5
"""Seconds for which a bar's highest peak stays to be seen."""


class Row:
    """One device on its meter."""

    def __init__(self, name: str, ear: Ear) -> None:
        self.name, self._ear = name, ear
        self.now: Loudness | None = None
        """Of the last tenth of a second; None until something comes."""
        self.held = FLOOR
        self._held_at = 0.0
        self._short: Meter | None = None
        self._long: Meter | None = None

    @property
    def problem(self) -> str:
        return readable(self._ear.problem) if self._ear.problem else ""

    def step(self, now: float) -> list[Loudness]:
        """Takes what has come; gives the loudness of every whole second of it."""
        return self.take(self._ear.take(), self._ear.rate or RATE, now)

    def take(self, samples: Samples, rate: int, now: float) -> list[Loudness]:
        if self._short is None or self._long is None:
            if not len(samples):
                return []
            self._short, self._long = Meter(round(REFRESH * rate)), Meter(rate)
        for one in self._short.push(samples):
            self.now = one
            if one.peak_dbfs >= self.held or now - self._held_at > HOLD:
                self.held, self._held_at = one.peak_dbfs, now
        return self._long.push(samples)

    def close(self) -> None:
        self._ear.close()


class Span:
    """How long is looked: counted from when every device is heard, or has failed, or was waited for."""

    def __init__(self, rows: Sequence[Row], seconds: float | None, now: float) -> None:
        """Times in seconds of any clock; `seconds` None: until stopped."""
        self._rows, self._seconds = rows, seconds
        self._latest, self._end = now + OPENING_SECONDS, float("inf")

    def over(self, now: float) -> bool:
        if self._seconds is None:
            return False
        if self._end == float("inf") and (now >= self._latest or all(row.now or row.problem for row in self._rows)):
            self._end = now + self._seconds
        return now >= self._end


def show_levels(names: Sequence[str], seconds: float | None, as_json: bool) -> None:
    """For so many seconds, or until it is stopped. Raises AsitEdgeError, WrongUse if there is nothing to show."""
    with c_stderr_discarded():  # what sound systems say by themselves
        rows = [Row(source.name, Ear(source)) for source in wanted(names)]
        span, stopping = Span(rows, seconds, time.monotonic()), stop_on_signals()

        def going_on() -> bool:
            return not (stopping.wait(REFRESH) or span.over(time.monotonic()) or all(row.problem for row in rows))

        try:
            if not as_json and sys.stdout and sys.stdout.isatty():
                _bars(rows, going_on)
            else:
                _lines(rows, going_on, as_json)
        finally:
            for row in rows:
                row.close()
    if all(row.problem for row in rows):
        raise AsitEdgeError("nothing can be heard: " + "; ".join(f"{row.name}: {row.problem}" for row in rows))


def wanted(names: Sequence[str]) -> list[Source]:
    """Those of that name; without any, the default device, all hardware, and a sound server's microphones."""
    devices, server = input_devices(), server_sources()
    if names:
        known = [one.name for one in server]
        return [_stream(name) if name in known else _microphone(find_device(_key(name), devices)) for name in names]
    # ALSA's plug-ins lead to hardware, or to the server, that is there by itself.
    chosen = [one for one in devices if one["default"] or one["api"] != "ALSA" or alsa_card(one["name"]) is not None]
    real = [one for one in server if not one.monitor] or server
    found = [*map(_microphone, chosen), *(_stream(one.name) for one in real)]
    if not found:
        raise AsitEdgeError("no input devices; is a microphone plugged in, and may this user record (group audio)?")
    return found


def _key(name: str) -> int | str:
    return int(name) if name.isdecimal() else name


def _microphone(device: dict[str, object]) -> Source:
    return Microphone(str(device["name"]), int(str(device["index"])), None, None, RATE)


def _stream(name: str) -> Source:
    return Stream(name, name, ["-f", "pulse"], None, RATE, LONGEST_PAUSE)


def _lines(rows: Sequence[Row], going_on: Callable[[], bool], as_json: bool) -> None:
    """A line a second and device; a problem once."""
    said: set[str] = set()
    while going_on():
        for row in rows:
            for level in row.step(time.monotonic()):
                if as_json:
                    print(json.dumps({"name": row.name, **level._asdict()}, ensure_ascii=False), flush=True)
                else:
                    told = f"{level.dbfs:6.1f} dBFS  peak {level.peak_dbfs:6.1f} dBFS"
                    print(f"{told}  {readable(row.name)}", flush=True)
            if row.problem and row.name not in said:
                said.add(row.name)
                print(f"asit-edge: {readable(row.name)}: {row.problem}", file=sys.stderr, flush=True)


def _bars(rows: Sequence[Row], going_on: Callable[[], bool]) -> None:
    from rich.live import Live

    with Live(_table(rows), refresh_per_second=1 / REFRESH, transient=False) as live:
        while going_on():
            for row in rows:
                row.step(time.monotonic())
            live.update(_table(rows))


def _table(rows: Sequence[Row]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    for row in rows:
        name = Text(readable(row.name), overflow="ellipsis", no_wrap=True)
        if row.problem:
            table.add_row(name, Text(row.problem, style="yellow"))
        elif row.now is None:
            table.add_row(name, Text("is being opened", style="dim"))
        else:
            colour = "red" if row.held >= -1 else "yellow" if row.held >= -6 else "green"
            level = f"{row.now.dbfs:6.1f} dBFS"
            table.add_row(name, Text(bar(row.now.dbfs, row.held), style=colour), Text(level))
    return table


def bar(dbfs: float, held: float) -> str:
    """A level, and behind it a mark where the highest peak was lately."""
    filled = _cells(dbfs)
    cells = ["█"] * filled + ["·"] * (WIDTH - filled)
    mark = _cells(held) - 1
    if mark >= filled:
        cells[mark] = "│"
    return "".join(cells)


def _cells(dbfs: float) -> int:
    share = (min(dbfs, 0.0) - QUIETEST) / -QUIETEST
    return max(round(WIDTH * share), 0)
