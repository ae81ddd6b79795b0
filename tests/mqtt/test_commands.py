"""Commands over MQTT: taken if they make sense, and answered with what would be right if they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.messages.report import CommandError
from asit_edge.mqtt.commands import BadCommand, Command, Correction, read_command, read_correction, read_message
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics

LABELS = {"dog": "Dog", "baby_cry": "Baby cry"}
SOURCES = ["mic", "yard"]
EVENT = "1d4fa3b2-5c6d-5e7f-8a9b-0c1d2e3f4a5b"


def read(source: str, name: str, payload: bytes) -> Command:
    return read_command(source, name, payload, SOURCES, LABELS)


@pytest.mark.parametrize(
    ("name", "payload", "command"),
    [
        ("listen", b"ON", Command("mic", "listen", None, True)),
        ("listen", b"OFF\n", Command("mic", "listen", None, False)),
        ("threshold/dog", b"0.7", Command("mic", "threshold", "Dog", 0.7)),
        ("threshold/baby_cry", b" .25 ", Command("mic", "threshold", "Baby cry", 0.25)),
        ("threshold/dog", b"default", Command("mic", "threshold", "Dog", None)),
        ("report/dog", b"OFF", Command("mic", "report", "Dog", False)),
        ("report/baby_cry", b"ON", Command("mic", "report", "Baby cry", True)),
        ("snooze", b"1800", Command("mic", "snooze", None, 1800.0)),
        ("snooze", b"0", Command("mic", "snooze", None, 0.0)),
        ("snooze/dog", b"604800", Command("mic", "snooze", "Dog", 604_800.0)),
    ],
)
def test_good_commands(name: str, payload: bytes, command: Command) -> None:
    assert read("mic", name, payload) == command


@pytest.mark.parametrize(
    ("source", "name", "payload", "message"),
    [
        ("mik", "listen", b"ON", "no source 'mik' (did you mean 'mic'?)"),
        ("mic", "listen", b"on", "listen must be ON or OFF, not 'on'"),
        ("mic", "listen", b"\xff", "listen must be ON or OFF"),
        ("mic", "volume", b"3", "no command 'volume' (valid: listen, snooze, threshold/<label>, report/<label>"),
        ("mic", "listen/dog", b"ON", "no command 'listen/dog'"),
        ("mic", "report", b"ON", "no label ''"),
        ("mic", "report/dgo", b"ON", "no label 'dgo' (did you mean 'dog'?)"),
        ("mic", "report/dog", b"false", "report must be ON or OFF, not 'false'"),
        ("mic", "snooze/cat", b"1", "no label 'cat'"),
        (
            "mic",
            "snooze",
            b"30m",
            "a snooze must be a number of seconds from 1 to 604800, such as 1800, or 0 to end it",
        ),
        ("mic", "snooze", b"604801", "from 1 to 604800"),
        ("mic", "snooze/dog", b"-1", "from 1 to 604800"),
        ("mic", "snooze", b"0.5", "from 1 to 604800"),
        ("mic", "snooze", b"inf", "from 1 to 604800"),
        ("mic", "snooze", b"", "from 1 to 604800"),
        ("mic", "threshold/dgo", b"0.5", "no label 'dgo' (did you mean 'dog'?)"),
        ("mic", "threshold", b"0.5", "no label ''"),
        ("mic", "threshold/dog", b"loud", "a threshold must be a number between 0 and 1, not 'loud'"),
        ("mic", "threshold/dog", b"1", "between 0 and 1"),
        ("mic", "threshold/dog", b"0", "between 0 and 1"),
        ("mic", "threshold/dog", b"nan", "between 0 and 1"),
        ("mic", "threshold/dog", b"", "between 0 and 1"),
        ("mic", "threshold/dog", b"1e400", "between 0 and 1, not '1e400'"),
        ("mic", "threshold/dog", b"0_5e-1", "between 0 and 1"),
        ("mic", "threshold/dog", b"\xd9\xa0.\xd9\xa5", "between 0 and 1"),
        ("mic", "threshold/dog", b" " * 1_000_000 + b"0.5", "between 0 and 1"),
    ],
)
def test_bad_commands_are_told_what_would_be_right(source: str, name: str, payload: bytes, message: str) -> None:
    with pytest.raises(BadCommand) as error:
        read(source, name, payload)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "payload", "wanted"),
    [
        ("wrong", b" 1d4fa3b2-5c6d-5e7f-8a9b-0c1d2e3f4a5b", Correction("mic", "wrong", EVENT)),
        ("missed/dog", b"90", Correction("mic", "missed", label="Dog", ago=90.0)),
        ("missed/baby_cry", b"0", Correction("mic", "missed", label="Baby cry")),
    ],
)
def test_corrections(name: str, payload: bytes, wanted: Correction) -> None:
    assert read_correction("mic", name, payload, SOURCES, LABELS) == wanted


@pytest.mark.parametrize(
    ("source", "name", "payload", "message"),
    [
        ("mik", "wrong", b"1d4fa3b2", "no source 'mik' (did you mean 'mic'?)"),
        ("mic", "wrong", b"Dog", "wrong needs the id of an event, as its messages have it, not 'Dog'"),
        ("mic", "wrong", b"../../etc/passwd", "wrong needs the id of an event"),
        ("mic", "wrong/dog", b"1d4fa3b2", "no command 'wrong/dog'"),
        ("mic", "missed", b"90", "no command 'missed'"),
        ("mic", "missed/dgo", b"90", "no label 'dgo' (did you mean 'dog'?)"),
        ("mic", "missed/dog", b"5m", "missed needs how many seconds ago it was, from 0 to 86400, not '5m'"),
        ("mic", "missed/dog", b"86401", "from 0 to 86400"),
        ("mic", "missed/dog", b"-1", "from 0 to 86400"),
        ("mic", "missed/dog", b"", "from 0 to 86400"),
    ],
)
def test_bad_corrections_are_told_what_would_be_right(source: str, name: str, payload: bytes, message: str) -> None:
    with pytest.raises(BadCommand) as error:
        read_correction(source, name, payload, SOURCES, LABELS)
    assert message in str(error.value)


@given(st.text(max_size=20), st.text(max_size=60), st.binary(max_size=60))
def test_nothing_gets_through_that_is_not_a_command(source: str, name: str, payload: bytes) -> None:
    try:
        command = read(source, name, payload)
    except BadCommand as error:
        assert len(str(error)) < 400
    else:
        assert command.source in ("mic", "yard")
        assert command.name in ("listen", "threshold", "report", "snooze")
        assert (command.label is None) >= (command.name == "listen")


def message(topic: str, payload: bytes, *, retained: bool = False) -> Command | CommandError | None:
    return read_message(Message(topic, payload, retained), Topics("asit", "hall"), ["mic", "yard"], LABELS)


def test_a_message_is_a_command_an_error_or_none_of_our_business() -> None:
    assert message("asit/hall/mic/set/listen", b"ON") == Command("mic", "listen", None, True)
    assert message("asit/hall/mic/status", b"ON") is None
    assert message("asit/other/mic/set/listen", b"ON") is None
    assert message("asit/hall/mic/set/threshold/dog", b"x" * 200) == CommandError(
        schema=1,
        device="hall",
        source="mic",
        command="threshold/dog",
        payload="x" * 100,
        error=f"a threshold must be a number between 0 and 1, not {'x' * 40 + '...'!r}",
    )


def test_a_retained_command_is_not_obeyed() -> None:
    error = message("asit/hall/mic/set/listen", b"ON", retained=True)
    assert isinstance(error, CommandError)
    assert "must not be retained" in error.error


@pytest.mark.parametrize("payload", [b"1e-300", b"0.00099", b"0.99901", b"0.9999999999999999"])
def test_a_threshold_beyond_which_all_or_nothing_is_an_event_is_refused(payload: bytes) -> None:
    with pytest.raises(BadCommand, match="must be a number from 0.001 to 0.999, such as 0.5, not"):
        read("mic", "threshold/dog", payload)


@pytest.mark.parametrize("value", [0.001, 0.999])
def test_the_lowest_and_the_highest_threshold(value: float) -> None:
    assert read("mic", "threshold/dog", f"{value}".encode()).value == value


def test_the_answer_to_a_long_command_is_short() -> None:
    message = Message("asit/hall/mic/set/" + "x" * 60_000, b"y" * 60_000, False)
    answer = read_message(message, Topics("asit", "hall"), ["mic"], LABELS)
    assert isinstance(answer, CommandError)
    assert len(answer.to_json()) < 600


@pytest.mark.parametrize("source", ["+", "a b", "x" * 65, "ä", ""])
def test_what_can_be_no_source_is_not_answered(source: str) -> None:
    assert read_message(Message(f"asit/hall/{source}/set/listen", b"ON", False), Topics("asit", "hall"), [], {}) is None
