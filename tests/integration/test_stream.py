"""Streams through a real ffmpeg, from a server on the loopback interface: frozen, killed, slow, hurried, refused."""

import base64
import io
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from asit_edge.assembly import load_model, open_source
from asit_edge.audio.clock import SystemClock
from asit_edge.audio.sources.stream import FfmpegCapture, Stream
from asit_edge.config.root import Config
from asit_edge.errors import WrongUse
from asit_edge.listen.loop import ListeningLoop
from tests.conftest import RATE, require_programs, tones
from tests.integration.mosquitto import wait_for
from tests.listen.test_loop import Notes


def wav_header(rate: int) -> bytes:
    """Of a WAV file that never ends."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((0, 2), np.float32), rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()[:-4] + b"\xff\xff\xff\x7f"


class Radio:
    """An HTTP server that streams a tone for ever, at `speed` times real time, at `rate`; each request anew.

    In stereo and at a high rate: ffmpeg wants to see some 100 kB before it begins.
    """

    def __init__(self, rate: int = 48_000, speed: float = 1.0) -> None:
        self.rate = rate
        self.speed = speed
        self.requests = 0
        self.heads: list[str] = []
        self.hang_up = threading.Event()
        radio = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                radio.requests += 1
                radio.heads.append(f"{self.path} {self.headers}")
                self.send_response(200)
                self.send_header("Content-Type", "audio/wav")
                self.end_headers()
                radio.send(self.wfile.write)

            def log_message(self, *_: Any) -> None: ...

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://user:secret@127.0.0.1:{self._server.server_address[1]}/live.wav"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def send(self, write: Callable[[bytes], Any]) -> None:
        rate = self.rate
        began, sent = time.monotonic(), 0
        sound = (8_000 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate)).astype("<i2")[:, None].repeat(2, axis=1)
        try:
            write(wav_header(rate))
            while not self.hang_up.is_set():
                write(sound[sent % rate :][: rate // 20].tobytes())
                sent += rate // 20
                self.hang_up.wait(max(sent / rate / self.speed - (time.monotonic() - began), 0))
        except OSError:
            pass

    def close(self) -> None:
        self.hang_up.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def radio(**settings: Any) -> Iterator[Radio]:
    radio = Radio(**settings)
    try:
        yield radio
    finally:
        radio.close()


class Running:
    """A listener to one source, in this process."""

    def __init__(self, bundle: Path, **source: Any) -> None:
        require_programs("ffmpeg")
        entry = {"name": "yard", "stall_after": 1, "reopen_after": 2, **source}
        config = Config.model_validate({"device": "hall", "model": str(bundle), "sources": [entry]})
        self.notes = Notes()
        sources = [open_source(settings, RATE) for settings in config.sources]
        self.loop = ListeningLoop(config, load_model(config), sources, self.notes, io.StringIO(), SystemClock())
        self._seen = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stopping.is_set() and not self.loop.over:
            if not self.loop.tick():
                time.sleep(0.01)
        self.loop.stop()

    def __enter__(self) -> "Running":
        self.loop.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()

    @property
    def capture(self) -> FfmpegCapture:
        [supervisor] = self.loop.supervisors
        assert isinstance(supervisor.capture, FfmpegCapture)
        return supervisor.capture

    def states(self) -> list[str]:
        return [status.state for status in self.notes.statuses]

    def becomes(self, state: str, seconds: float = 30) -> None:
        """Waits for the next time that it is in that state, however briefly, after those waited for before."""
        wait_for(lambda: state in self.states()[self._seen :], seconds, f"{state}, not {self.states()}")
        self._seen = self.states().index(state, self._seen) + 1

    def from_now(self) -> None:
        """States until now are none that is waited for."""
        self._seen = len(self.states())

    def heard(self, seconds: float) -> None:
        [supervisor] = self.loop.supervisors
        enough = supervisor.account.totals.heard + seconds
        wait_for(lambda: supervisor.account.totals.heard >= enough, 20, f"{seconds} s of audio")


def test_a_stream_of_another_rate_is_heard(tone_bundle: Path) -> None:
    with radio(rate=44_100) as station, Running(tone_bundle, type="stream", url=station.url) as running:
        running.becomes("listening")
        running.heard(1.5)
    assert [event.label for event in running.notes.told if event.type == "new"] == ["Low tone"]
    assert [event.type for event in running.notes.told][-1] == "end"
    assert running.notes.gaps == []


@pytest.mark.parametrize("channels", [1, 2, -2, 6])
def test_a_stream_of_any_layout_is_heard(tone_bundle: Path, tmp_path: Path, channels: int) -> None:
    """-2: the second channel is the first one inverted."""
    sound = tones((0, 1), (500, 1.5), (0, 1))[:, None].repeat(abs(channels), axis=1)
    if channels < 0:
        sound[:, 1] *= -1
    soundfile.write(tmp_path / "sound.wav", sound, RATE)
    with Running(tone_bundle, type="stream", url=str(tmp_path / "sound.wav"), once=True) as running:
        wait_for(lambda: running.loop.over, 20, "the end")
    assert [event.type for event in running.notes.told] == ["new", "end"]


def test_an_ffmpeg_that_freezes_is_replaced(tone_bundle: Path) -> None:
    with radio() as station, Running(tone_bundle, type="stream", url=station.url) as running:
        running.heard(1.0)
        first = running.capture
        running.from_now()
        frozen = time.monotonic()
        os.kill(first.pid, signal.SIGSTOP)
        running.becomes("stalled")
        running.becomes("listening")
        running.heard(0.5)
        lasted = time.monotonic() - frozen
        assert running.capture.pid != first.pid
        assert station.requests == 2
    gap = max(running.notes.gaps, key=lambda gap: gap.duration)  # a busy machine may have others
    assert gap.cause == "stalled"
    assert 2.0 < gap.duration < lasted
    with pytest.raises(ProcessLookupError):
        os.kill(first.pid, 0)


def test_an_ffmpeg_that_is_killed_is_replaced(tone_bundle: Path) -> None:
    patient = {"stall_after": 15, "reopen_after": 30}  # a machine that is busy elsewhere is no stall
    with radio() as station, Running(tone_bundle, type="stream", url=station.url, **patient) as running:
        running.heard(1.0)
        running.from_now()
        os.kill(running.capture.pid, signal.SIGKILL)
        running.becomes("lost")
        running.becomes("listening")
        running.heard(0.5)
    assert [gap.cause for gap in running.notes.gaps if gap.cause != "overrun"] == ["lost"]
    assert any("killed by signal 9" in status.detail for status in running.notes.statuses)


def test_a_station_that_changes_its_rate_when_it_returns(tone_bundle: Path) -> None:
    with radio(rate=96_000) as station, Running(tone_bundle, type="stream", url=station.url) as running:
        running.heard(1.0)
        running.from_now()
        station.hang_up.set()
        running.becomes("lost")
        station.rate = 44_100
        station.hang_up.clear()
        running.becomes("listening")
        running.heard(1.0)
    assert [gap.cause for gap in running.notes.gaps] == ["lost"]
    assert {event.label for event in running.notes.told} == {"Low tone"}, "the tone is as high as before"


def test_a_station_that_is_away_is_tried_with_growing_pauses_and_no_password_is_told(tone_bundle: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/"
        with Running(tone_bundle, type="stream", url=url) as running:
            running.becomes("lost")
            wait_for(lambda: "refused" in running.notes.statuses[-1].detail, 10, "the reason")
    assert "secret" not in repr(running.notes.statuses)
    assert "user" not in repr(running.notes.statuses)
    assert "stream 127.0.0.1: connection refused" in repr(running.notes.statuses)


def test_a_source_slower_than_real_time_is_heard_as_what_it_is(tone_bundle: Path) -> None:
    with radio(speed=0.5) as station, Running(tone_bundle, type="stream", url=station.url) as running:
        running.becomes("listening")
        began = time.monotonic()
        time.sleep(7)
        lasted = time.monotonic() - began
    lost = sum(gap.duration for gap in running.notes.gaps if gap.cause == "overrun")
    assert 0.8 < lost < lasted / 2 + 0.5, "half of the time nothing came; the last seconds of it are not noticed yet"


def test_a_source_faster_than_real_time_is_held_back(tone_bundle: Path) -> None:
    with radio(speed=50) as station, Running(tone_bundle, type="stream", url=station.url) as running:
        running.becomes("listening")
        began = time.monotonic()
        time.sleep(3)
        lasted = time.monotonic() - began
    [supervisor] = running.loop.supervisors
    assert supervisor.account.totals.heard < lasted + 5 + 2, "at most what it may catch up"
    assert running.notes.gaps == [], "nothing is overrun"


def test_a_stream_with_an_end_is_over_then(tmp_path: Path, tone_bundle: Path) -> None:
    sound = tmp_path / "stereo.wav"
    left, right = tones((0, 1), (500, 1), (0, 0.5)), tones((0, 1), (3000, 1), (0, 0.5))
    soundfile.write(sound, np.stack((left, right), axis=1), RATE)
    with Running(tone_bundle, type="stream", url=str(sound), once=True, channel=2) as running:
        running.becomes("stopped")
    assert running.loop.broken == ""
    assert [event.label for event in running.notes.told if event.type == "end"] == ["High tone"]


def test_a_talkative_ffmpeg_fills_no_memory() -> None:
    require_programs("sh")
    babble = "i=0; while [ $i -lt 3000 ]; do echo $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx >&2; i=$((i+1)); done; exit 3"
    capture = FfmpegCapture(["sh", "-c", babble], "here", RATE, may_end=False)
    wait_for(lambda: capture.ended, 20, "the end")
    assert len(capture._lines) == 20
    assert capture.ended == "stream here: ffmpeg gave up with code 3 (2999 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx)"
    capture.stop()


def test_without_ffmpeg_a_stream_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WrongUse, match="needs ffmpeg"):
        Stream("yard", "rtsp://camera", [], None, RATE, 30.0)


def test_standard_input_is_listened_to(tmp_path: Path, tone_bundle: Path) -> None:
    samples = np.stack((tones((0, 0.5), (500, 0.6), (0, 0.2)),) * 2, axis=1)
    data = (samples * 32_767).astype("<i2").tobytes()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "asit_edge",
            "listen",
            "--model",
            tone_bundle,
            "--stdin",
            "--rate",
            "16000",
            "--channels",
            "2",
        ],
        input=data,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert [line.count(b'"Low tone"') for line in done.stdout.splitlines()] == [1, 1]
    assert b"listening at 16000 Hz, 2 channel(s)" in done.stderr


SECRET_WAYS = [
    ("http://admin:p@ss-s3cret@{at}/live.wav?user=admin&token=t0k-s3cret", {}),
    ("http://admin@{at}/live.wav", {"password_file": "s3cret"}),
    ("http://admin:${CAMERA_PASSWORD}@{at}/live.wav", {}),
]


@pytest.mark.parametrize(("url", "more"), SECRET_WAYS)
def test_secrets_reach_the_station_and_nobody_else(
    tmp_path: Path,
    tone_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    more: dict[str, str],
) -> None:
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret/@")
    if "password_file" in more:
        (tmp_path / "password").write_bytes(b"\xef\xbb\xbfs3cret/@\r\n")
        more = {"password_file": str(tmp_path / "password")}
    with radio() as station:
        at = station.url.partition("@")[2].partition("/")[0]
        settings = {"type": "stream", "url": url.replace("{at}", at), **more}
        with Running(tone_bundle, options=["-user_agent", "an ear"], **settings) as running:
            running.becomes("listening")
            arguments = psutil.Process(running.capture.pid).cmdline()
            assert "s3cret" not in " ".join(arguments)
            running.heard(0.5)
            station.hang_up.set()
            running.becomes("lost")
        assert "an ear" in station.heads[0]
        if "?" in url:
            assert "token=t0k-s3cret" in station.heads[0]
    assert {gap.cause for gap in running.notes.gaps} <= {"lost"}
    told = repr(running.notes.statuses) + caplog.text
    assert "s3cret" not in told
    assert "admin" not in told
    assert "stream 127.0.0.1: has ended" in told


def test_a_password_that_ends_the_host_is_refused_unseen() -> None:
    require_programs("ffmpeg")
    with pytest.raises(WrongUse, match="write / as %2F") as refused:
        Stream("yard", "rtsp://admin:s3/cret@camera/1", [], None, RATE, 30.0)
    assert "cret" not in str(refused.value)


def test_an_ffmpeg_that_cannot_keep_a_secret_says_so(caplog: pytest.LogCaptureFixture) -> None:
    require_programs("ffmpeg")
    Stream("yard", "rtsp://admin:s3cret@camera/1", ["-f", "rtsp"], None, RATE, 30.0)
    [record] = caplog.records
    assert "all users of this machine (its options allow no playlist)" in record.getMessage()
    assert "s3cret" not in record.getMessage()


def test_a_camera_asks_and_gets_the_password() -> None:
    """RTSP: what stands in the playlist reaches the camera, decoded, and over the transport that was asked for."""
    require_programs("ffmpeg")
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(4096).decode():
                    asked.append(data)
                    number = data.partition("CSeq: ")[2].partition("\r")[0]
                    known = "Authorization" in data or data.startswith("OPTIONS")
                    answer = (
                        "200 OK" if data.startswith("OPTIONS") else "404 Not Found" if known else "401 Unauthorized"
                    )
                    asks = "" if known else 'WWW-Authenticate: Basic realm="x"\r\n'
                    connection.sendall(f"RTSP/1.0 {answer}\r\nCSeq: {number}\r\n{asks}\r\n".encode())

        threading.Thread(target=serve, daemon=True).start()
        url = f"rtsp://ann:p%40ss@127.0.0.1:{server.getsockname()[1]}/1"
        stream = Stream("yard", url, ["-rtsp_transport", "tcp"], None, RATE, 30.0)
        capture = stream.open()
        ended = wait_for(lambda: capture.ended, 20, "the end")
        capture.stop()
    [login] = [line for request in asked for line in request.splitlines() if line.startswith("Authorization")]
    assert login == f"Authorization: Basic {base64.b64encode(b'ann:p@ss').decode()}"
    assert ended == "stream 127.0.0.1: there is nothing at this address (404); check url"


def test_a_camera_without_sound_is_told_in_our_words(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    picture = tmp_path / "picture.mkv"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x48:d=1", "-c:v", "mpeg4", picture]
    subprocess.run(command, check=True)
    capture = Stream("yard", str(picture), [], None, RATE, 30.0).open()
    ended = wait_for(lambda: capture.ended, 20, "the end")
    capture.stop()
    assert ended == "stream picture.mkv: it has no sound (no audio track); switch its audio on there"


def test_a_stream_is_heard_from_its_first_sample_and_begins_without_a_gap(tone_bundle: Path) -> None:
    with radio() as station, Running(tone_bundle, type="stream", url=station.url) as running:
        wait_for(lambda: station.requests, 30, "ffmpeg asks for it")
        began = time.monotonic()
        running.becomes("listening")
        time.sleep(5)
        [supervisor] = running.loop.supervisors
        totals = supervisor.account.totals
        what = "what came while ffmpeg looked into the stream is not lost"
        wait_for(lambda: totals.heard > time.monotonic() - began - 1.0, 15, what)
    assert running.notes.gaps == []
    new = next(event for event in running.notes.told if event.type == "new")
    assert new.latency_ms < 3_000
