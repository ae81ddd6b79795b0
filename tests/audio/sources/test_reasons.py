"""What ffmpeg says when it gives up, in words for the user; and how an address is kept off its command line."""

import pytest

from asit_edge.audio.sources.reasons import reason
from asit_edge.audio.sources.stream import playlist


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["Stream map '0:a:0' matches no streams.", "To ignore this, add a trailing '?' to the map."], "has no sound"),
        (["http://cam/: Server returned 401 Unauthorized (authorization failed)"], "the user or the password"),
        (["tcp://cam:554 failed: Connection refused", "rtsp://cam/1: Connection refused"], "is the port in url right"),
        (["Failed to resolve hostname cam: Name or service not known", "x: Input/output error"], "name is not known"),
        (["Unknown input format: 'alsaa'"], "options: there is no format 'alsaa'"),
        (
            ["Unrecognized option 'rtsp_transprot'.", "Error splitting the argument list"],
            "'rtsp_transprot' is not known",
        ),
        (["pipe:0: Invalid data found when processing input"], "no sound that can be read"),
    ],
)
def test_known_reasons_are_told_in_our_words(said: list[str], words: str) -> None:
    told = reason(said)
    assert told is not None
    assert words in told
    assert "ffmpeg" not in told


def test_what_is_not_known_is_nobodys_word() -> None:
    assert reason(["something quite new"]) is None
    assert reason([]) is None


def test_options_go_where_they_belong() -> None:
    made = playlist("rtsp://ann:it's@cam/1", ["-re", "-rtsp_transport", "tcp", "-ss", "5", "-headers", "A: b\r\n"])
    assert made is not None
    kept, script = made
    assert kept == ["-re", "-ss", "5"]
    assert script.decode().splitlines() == [
        "ffconcat version 1.0",
        "file 'rtsp://ann:it'\\''s@cam/1'",
        "option analyzeduration 1000000",
        "option rtsp_transport 'tcp'",
        "option headers 'A: b'",
    ]


@pytest.mark.parametrize("options", [["-f", "alsa"], ["-headers", "A: b\r\nC: d\r\n"], ["-ss"], ["tcp"]])
def test_what_no_playlist_can_say(options: list[str]) -> None:
    assert playlist("rtsp://ann@cam/1", options) is None
