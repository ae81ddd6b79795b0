"""The sources: that they are there, can be opened, and are neither silent nor too loud."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from asit_edge.assembly import open_source
from asit_edge.audio.level import CLIPPED_SHARE
from asit_edge.config.sources import FileSource, MicrophoneSource, SourceSettings, StdinSource, StreamSource
from asit_edge.doctor.ear import Ear, Impression, impression
from asit_edge.doctor.examination import Check
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import AsitEdgeError, WrongUse

LISTEN_SECONDS = 3.0
FIRST_AUDIO = {"microphone": 5.0, "stream": 15.0}
"""Seconds for which the first audio is waited for."""

RATE = 16_000
"""Asked for in Hz; every model bundled has it, and what else a device has will do."""

QUIET = -75.0
"""dBFS: below, even a quiet room is hardly above what a microphone makes of nothing."""

POLL = 0.05


def checks(patient: Patient) -> list[Check]:
    """One for every source."""
    return [
        Check(
            f"source {entry.name}",
            FIRST_AUDIO.get(entry.type, 0.0) + LISTEN_SECONDS + 10.0,
            _look_at(entry),
        )
        for entry in patient.config.sources
    ]


def _look_at(entry: SourceSettings) -> Callable[[Patient], Iterator[Finding]]:
    def look(patient: Patient) -> Iterator[Finding]:
        yield from source_findings(entry, patient)

    return look


def source_findings(entry: SourceSettings, patient: Patient) -> Iterator[Finding]:
    """Opens the source and listens to it; but no stream a second time that a listener hears anyway."""
    check = f"source {entry.name}"
    if isinstance(entry, StdinSource):
        yield Finding(check, "ok", "standard input: heard when something is piped into asit-edge listen")
        return
    heard = patient.heard_recently(entry.name)
    if isinstance(entry, StreamSource) and heard:
        yield Finding(check, "ok", f"the listener that runs (process {patient.listener}) hears it; not opened twice")
        return
    try:
        source = open_source(entry, RATE)
    except AsitEdgeError as error:
        yield Finding(check, "wrong", str(error), "nothing is heard of it", _remedy(entry, error))
        return
    if isinstance(entry, FileSource):
        yield Finding(check, "ok", f"{entry.path}: can be played")
        return
    ear = Ear(source)
    try:
        found = _listen(ear, FIRST_AUDIO[entry.type])
    finally:
        ear.close()
    if isinstance(found, Impression):
        yield judged(check, found)
    elif heard:
        # A device of ALSA's belongs to one program at a time.
        yield Finding(
            check, "ok", f"the listener that runs (process {patient.listener}) hears it and has it for itself"
        )
    elif patient.listener is not None and isinstance(entry, MicrophoneSource):
        means = "the listener that runs may have it for itself; within the last half minute it has heard nothing of it"
        yield Finding(check, "warning", str(found), means, _remedy(entry, found))
    else:
        yield Finding(check, "wrong", str(found), "nothing is heard of it", _remedy(entry, found))


def judged(check: str, heard: Impression) -> Finding:
    """What a source that can be opened sounds like."""
    dbfs, peak, _ = heard.loudness
    level = f"{dbfs:.0f} dBFS, peak {peak:.0f} dBFS"
    if heard.flat:
        return Finding(
            check,
            "wrong",
            f"digital silence for {heard.seconds:.0f} s: every sample is the same",
            "it is switched off, or muted in the system: nothing can be heard",
            "asit-edge devices --levels    # is it another one? muted: alsamixer (F4), pactl set-source-mute NAME 0",
        )
    if heard.clipped > CLIPPED_SHARE:
        return Finding(
            check,
            "warning",
            f"{level}; {heard.clipped:.0%} of its samples are at full scale",
            "it is distorted; sounds are taken for others or missed",
            "alsamixer    # F4: lower it; with a sound server: pactl set-source-volume @DEFAULT_SOURCE@ 50%",
        )
    if heard.seconds < LISTEN_SECONDS / 2:
        return Finding(
            check,
            "warning",
            f"{level}; only {heard.seconds:.1f} s of audio came in {LISTEN_SECONDS:g} s",
            "what is missing is not heard; a listener tells it as gaps",
        )
    if dbfs < QUIET:
        return Finding(
            check,
            "warning",
            f"{level}: very quiet",
            "faint and distant sounds will be missed, unless it is that quiet where it is",
            "alsamixer    # F4: raise the capture level; then: asit-edge devices --levels",
        )
    return Finding(check, "ok", f"heard for {heard.seconds:.0f} s: {level}")


def _listen(ear: Ear, first_audio: float) -> Impression | AsitEdgeError:
    """Some seconds of it, or why there are none."""
    parts: list[np.ndarray] = []
    deadline = time.monotonic() + first_audio
    while time.monotonic() < deadline and ear.problem is None:
        samples = ear.take()
        if len(samples):
            if not parts:
                deadline = time.monotonic() + LISTEN_SECONDS
            parts.append(samples)
        time.sleep(POLL)
    if parts and ear.rate:
        return impression(np.concatenate(parts), ear.rate)
    return ear.problem or AsitEdgeError(f"nothing came for {first_audio:g} s")


def _remedy(entry: SourceSettings, error: AsitEdgeError) -> str:
    if isinstance(entry, MicrophoneSource):
        if "PortAudio is not installed" in str(error):
            return "sudo apt install libportaudio2"
        if isinstance(error, WrongUse) or "devices: none" not in str(error):
            return "asit-edge devices    # names one; who else has it: fuser -v /dev/snd/*"
        return "arecord -l    # is it plugged in? may this user record? sudo usermod -aG audio $USER, and log in again"
    if isinstance(entry, StreamSource):
        return "" if "apt install" in str(error) else "check url and options of this source; ffprobe opens it, too"
    return ""
