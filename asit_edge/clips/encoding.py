"""Samples to the bytes of a FLAC or Opus file, with what is known of the event in its tags."""

import logging
from collections.abc import Mapping
from io import BytesIO
from typing import Literal

import numpy as np

from asit_edge.clips.tape import Cut
from asit_edge.errors import AsitEdgeError, one_line

log = logging.getLogger(__name__)

Form = Literal["flac", "opus"]

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Hz; what has another rate is resampled to the highest."""

TOGETHER = 16_384
"""Samples that the encoder gets at once."""


def possible(form: Form) -> Form:
    """The format itself, or FLAC where the library cannot write it, which is said."""
    if form == "flac":
        return form
    import soundfile

    if "OPUS" in soundfile.available_subtypes("OGG"):
        return form
    log.warning(
        "clips.format: libsndfile %s cannot write Opus (1.0.29 and later can); clips are FLAC",
        soundfile.__libsndfile_version__,
    )
    return "flac"


def encode(cut: Cut, form: Form, tags: Mapping[str, str]) -> bytes:
    """A whole file; `tags` are libsndfile's: title, artist, date, comment. Raises AsitEdgeError."""
    import soundfile

    samples, rate = cut.samples, cut.rate
    if form == "opus" and rate not in OPUS_RATES:
        import soxr

        samples, rate = soxr.resample(samples, rate, OPUS_RATES[-1]), OPUS_RATES[-1]
    container, subtype = ("FLAC", "PCM_16") if form == "flac" else ("OGG", "OPUS")
    whole = BytesIO()
    try:
        with soundfile.SoundFile(whole, "w", rate, 1, subtype, format=container) as file:
            for name, value in tags.items():
                setattr(file, name, value)
            for first in range(0, len(samples), TOGETHER):
                file.write(np.ascontiguousarray(samples[first : first + TOGETHER]))
    except soundfile.LibsndfileError as error:
        raise AsitEdgeError(f"a clip cannot be made ({one_line(error)})") from None
    return whole.getvalue()


def comment_of(file: str) -> str:
    """The comment in the tags of a sound file; "" if it cannot be read."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as opened:
            return str(opened.comment)
    except (soundfile.LibsndfileError, OSError):
        return ""
