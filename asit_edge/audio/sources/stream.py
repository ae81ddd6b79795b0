"""Audio from the network or anywhere else that ffmpeg opens (RTSP, HTTP, Icecast, UDP, ALSA), through a child process.

ffmpeg decodes and resamples, so a stream that changes its rate or its channels on the way still arrives at one rate.
Whether it stalls, and what then happens, is decided where all sources are watched.
"""

import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Sequence

from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.pcm import PipeReader
from asit_edge.errors import AsitEdgeError, WrongUse, one_line

LONGEST_PAUSE = 30.0
"""Seconds between attempts to open a stream that is away."""

TWO_CHANNELS = "aformat=channel_layouts=mono|stereo,pan=stereo|FL=FL+FC|FR=FR+FC"
"""Two channels of any number, one twice: mixed by us, who notice that they cancel each other."""

STDERR_LINES = 20
STDERR_WIDTH = 300
"""How much of what ffmpeg says is kept: the last lines, cut to this many characters."""


def redacted(text: str) -> str:
    """Without user names and passwords in addresses."""
    return re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", text)


class Stream:
    """One address. `options` are ffmpeg's, put before `-i`, such as ["-rtsp_transport", "tcp"]."""

    live = True

    def __init__(
        self, name: str, url: str, options: Sequence[str], channel: int | None, rate: int, longest_pause: float | None
    ) -> None:
        """`channel` counts from 1, None mixes all of them; `rate` in Hz is what ffmpeg is asked for.

        Raises WrongUse if there is no ffmpeg.
        """
        self.name = name
        self.longest_pause = longest_pause
        self._url = url
        self._rate = rate
        program = shutil.which("ffmpeg")
        if program is None:
            raise WrongUse(f"source {name!r}: a stream needs ffmpeg, which is not installed (apt install ffmpeg)")
        self._channels = 1 if channel else 2
        mix = ["-af", f"pan=mono|c0=c{channel - 1}" if channel else TWO_CHANNELS]
        self._command = [
            *[program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error"],
            # Small probes: the first samples should come when they are there, not five seconds later.
            *["-fflags", "+nobuffer", "-analyzeduration", "1000000", *options, "-i", url],
            *["-map", "0:a:0", "-vn", *mix, "-ar", str(rate), "-f", "s16le", "-flush_packets", "1", "pipe:1"],
        ]

    def open(self) -> "FfmpegCapture":
        may_end = self.longest_pause is None
        return FfmpegCapture(self._command, redacted(self._url), self._rate, may_end=may_end, channels=self._channels)


class FfmpegCapture:
    """A running ffmpeg."""

    def __init__(self, command: Sequence[str], where: str, rate: int, *, may_end: bool, channels: int = 1) -> None:
        """`may_end`: to come to its end is no fault of this stream. Raises AsitEdgeError if it cannot be started."""
        self._where = where
        self._may_end = may_end
        self._lines: deque[str] = deque(maxlen=STDERR_LINES)
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise AsitEdgeError(f"stream {where}: ffmpeg cannot be started ({one_line(error)})") from None
        assert self._process.stdout is not None
        self._talk = threading.Thread(target=self._listen_to_stderr, name="ffmpeg-stderr", daemon=True)
        self._talk.start()
        self._pipe = PipeReader(self._process.stdout.fileno(), rate, channels, "s16le", self._why)
        self._stopped = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def rate(self) -> int:
        return self._pipe.rate

    @property
    def ring(self) -> Ring:
        return self._pipe.ring

    @property
    def ended(self) -> str | None:
        return "" if self._stopped else self._pipe.ended

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._process.kill()  # it may hang in a read from the network, or be stopped: asking is not enough
        self._pipe.stop()
        self._process.wait()
        self._talk.join(timeout=2)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen_to_stderr(self) -> None:
        assert self._process.stderr is not None
        # In pieces, not lines: one endless line must not fill the memory either.
        rest = b""
        while piece := self._process.stderr.read(4096):
            *lines, rest = (rest + piece).split(b"\n")
            self._lines.extend(line.decode("utf-8", "replace")[:STDERR_WIDTH] for line in lines if line.strip())
            rest = rest[:STDERR_WIDTH]
        if rest.strip():
            self._lines.append(rest.decode("utf-8", "replace"))

    def _why(self) -> str:
        code = self._process.wait()
        self._talk.join(timeout=2)
        said = redacted(one_line(self._lines[-1])) if self._lines else ""
        if code == 0:
            return "" if self._may_end else f"stream {self._where}: has ended"
        how = f"ffmpeg was killed by signal {-code}" if code < 0 else f"ffmpeg gave up with code {code}"
        return f"stream {self._where}: {how}" + (f" ({said})" if said else "")
