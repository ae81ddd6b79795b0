"""Audio from the network or anywhere else that ffmpeg opens (RTSP, HTTP, Icecast, UDP, ALSA), through a child process.

ffmpeg decodes and resamples, so a stream that changes its rate or its channels on the way still arrives at one rate.
Whether it stalls, and what then happens, is decided where all sources are watched.

An address with a secret in it is no part of ffmpeg's command line, which every user of a machine can read: ffmpeg gets
it on its standard input, as a playlist of one entry.
"""

import contextlib
import logging
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Sequence

from asit_edge.audio.ring import Ring
from asit_edge.audio.sources.pcm import PipeReader
from asit_edge.audio.sources.reasons import reason
from asit_edge.config.secrets import has_secret, host_of, unclear, without_secrets
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.host import children

log = logging.getLogger(__name__)

LONGEST_PAUSE = 30.0
"""Seconds between attempts to open a stream that is away."""

TWO_CHANNELS = "aformat=channel_layouts=mono|stereo,pan=stereo|FL=FL+FC|FR=FR+FC"
"""Two channels of any number, one twice: mixed by us, who notice that they cancel each other."""

STDERR_LINES = 20
STDERR_WIDTH = 300
"""How much of what ffmpeg says is kept: the last lines, cut to this many characters."""

ANALYSIS = ["analyzeduration", "1000000"]
"""Microseconds: the first samples should come when they are there, not five seconds later."""

PLAYLISTS_SINCE = 5
"""The version of ffmpeg from which on an entry of a playlist can have options."""

_PROTOCOLS = (
    "file,pipe,fd,data,crypto,http,https,httpproxy,tls,tcp,udp,udplite,unix,rtp,srtp,rtsp,rtmp,rtmpe,rtmps,rtmpt,"
    "mmsh,mmst,srt,rist,sctp,hls,ftp,sftp,gopher,icecast"
)
_OF_THE_PROGRAM = {"readrate", "t", "to", "ss", "sseof", "itsoffset", "itsscale", "stream_loop", "thread_queue_size"}
_WITHOUT_VALUE = {"-re", "-copyts"}
"""Options for ffmpeg itself, not for what it opens."""

_TELLING = {"-headers", "-cookies", "-http_proxy", "-passphrase", "-password", "-key"}
"""Options that have secrets in them."""


class Stream:
    """One address. `options` are ffmpeg's, put before `-i`, such as ["-rtsp_transport", "tcp"]."""

    live = True

    def __init__(
        self, name: str, url: str, options: Sequence[str], channel: int | None, rate: int, longest_pause: float | None
    ) -> None:
        """`channel` counts from 1, None mixes all of them; `rate` in Hz is what ffmpeg is asked for.

        Raises WrongUse if there is no ffmpeg, or the url is ambiguous.
        """
        self.name = name
        self.longest_pause = longest_pause
        self._url = url
        self._rate = rate
        program = shutil.which("ffmpeg")
        if program is None:
            raise WrongUse(f"source {name!r}: a stream needs ffmpeg, which is not installed (apt install ffmpeg)")
        if unclear(url):
            raise WrongUse(
                f"source {name!r}: url: its password has a character that ends a host name; write / as %2F, ? as %3F, "
                "# as %23, or use password_file"
            )
        self._channels = 1 if channel else 2
        mix = ["-af", f"pan=mono|c0=c{channel - 1}" if channel else TWO_CHANNELS]
        before, self._playlist = self._input(program, list(options))
        self._command = [
            *[program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error"],
            *before,
            *["-map", "0:a:0", "-vn", *mix, "-ar", str(rate), "-f", "s16le", "-flush_packets", "1", "pipe:1"],
        ]

    def open(self) -> "FfmpegCapture":
        may_end = self.longest_pause is None
        return FfmpegCapture(
            self._command, self._url, self._rate, may_end=may_end, channels=self._channels, playlist=self._playlist
        )

    def _input(self, program: str, options: list[str]) -> tuple[list[str], bytes]:
        """Arguments that say what is opened, and what is written to standard input for it."""
        plain = [f"-{ANALYSIS[0]}", ANALYSIS[1], *options, "-i", self._url]
        if not has_secret(self._url) and not _TELLING & set(options):
            return plain, b""
        found = playlist(self._url, options)
        if found is None or _version(program) < PLAYLISTS_SINCE:
            log.warning(
                "%s: ffmpeg shows url and options, with what is secret in them, to all users of this machine (%s)",
                *(self.name, "its options allow no playlist" if found is None else "it is older than version 5"),
            )
            return plain, b""
        kept, entry = found
        return [*kept, "-f", "concat", "-safe", "0", "-protocol_whitelist", _PROTOCOLS, "-i", "pipe:0"], entry


def playlist(url: str, options: Sequence[str]) -> tuple[list[str], bytes] | None:
    """Options that stay on the command line, and a script with the address and the others; None where that does not
    go: a format is named, or something has several lines.
    """
    kept, lines = [], ["ffconcat version 1.0", f"file {_quoted(url)}", f"option {ANALYSIS[0]} {ANALYSIS[1]}"]
    rest = list(options)
    while rest:
        option = rest.pop(0)
        if option in _WITHOUT_VALUE:
            kept.append(option)
        elif option == "-f" or not option.startswith("-") or not rest:
            return None
        elif option[1:] in _OF_THE_PROGRAM:
            kept += [option, rest.pop(0)]
        else:
            lines.append(f"option {option[1:]} {_quoted(rest.pop(0).rstrip())}")
    if any("\n" in line or "\r" in line for line in lines):
        return None
    return kept, ("\n".join(lines) + "\n").encode()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _version(program: str) -> int:
    """The major version of ffmpeg; a large one where it does not tell (a build from its sources)."""
    try:
        said = subprocess.run(
            [program, "-version"], capture_output=True, text=True, errors="replace", timeout=10
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"ffmpeg version n?(\d+)\.", said)
    return int(found[1]) if found else 1_000


class FfmpegCapture:
    """A running ffmpeg."""

    def __init__(
        self,
        command: Sequence[str],
        url: str,
        rate: int,
        *,
        may_end: bool,
        channels: int = 1,
        playlist: bytes = b"",
    ) -> None:
        """`may_end`: to come to its end is no fault of this stream; `playlist` is for its standard input.

        Raises AsitEdgeError if it cannot be started.
        """
        self._url, self._where = url, host_of(url)
        self._may_end = may_end
        self._lines: deque[str] = deque(maxlen=STDERR_LINES)
        try:
            self._process = children.start(
                command,
                stdin=subprocess.PIPE if playlist else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise AsitEdgeError(f"stream {self._where}: ffmpeg cannot be started ({error.strerror})") from None
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(playlist)  # smaller than a pipe holds: this does not wait for ffmpeg
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
        if code == 0:
            return "" if self._may_end else f"stream {self._where}: has ended"
        if known := reason(self._lines) if code > 0 else None:
            return f"stream {self._where}: {known}"
        how = f"ffmpeg was killed by signal {-code}" if code < 0 else f"ffmpeg gave up with code {code}"
        said = without_secrets(one_line(self._lines[-1]), self._url) if self._lines else ""
        return f"stream {self._where}: {how}" + (f" ({said})" if said else "")
