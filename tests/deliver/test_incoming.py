"""Commands on their way to the listening loop: obeyed, answered, or too many."""

import pytest

from asit_edge.deliver.incoming import Incoming
from asit_edge.mqtt.command_rate import AT_ONCE, TOO_MANY
from asit_edge.mqtt.commands import Command
from asit_edge.mqtt.connection import Message
from asit_edge.mqtt.topics import Topics


@pytest.fixture
def incoming() -> Incoming:
    return Incoming(Topics("asit", "hall"), ["mic"], {"dog": "Dog"})


def test_what_makes_sense_goes_to_the_loop_and_the_rest_is_answered(incoming: Incoming) -> None:
    assert incoming.take(Message("asit/hall/mic/set/listen", b"OFF", False)) is None
    assert incoming.commands.get_nowait() == Command("mic", "listen", None, False)
    answer = incoming.take(Message("asit/hall/mic/set/threshold/dog", b"1e-300", False))
    assert answer is not None
    assert "from 0.001 to 0.999" in answer.error
    assert incoming.take(Message("asit/hall/mic/status", b"", False)) is None
    assert incoming.commands.empty()


@pytest.mark.parametrize("payload", [b"ON", b"nonsense"])
def test_a_flood_is_answered_once_with_what_would_be_right(
    incoming: Incoming, payload: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asit_edge.deliver.incoming.time.monotonic", lambda: 5.0)  # all at once, on any machine
    answers = [incoming.take(Message("asit/hall/mic/set/listen", payload, False)) for _ in range(2_000)]
    told = [one for one in answers if one is not None and one.error == TOO_MANY]
    assert len(told) == 1
    assert (told[0].source, told[0].command, told[0].payload) == ("mic", "listen", payload.decode())
    assert "at most 200 together and 10 a second" in told[0].error
    assert len([record for record in caplog.records if "too many" in record.message]) == 1
    assert incoming.commands.qsize() + len([one for one in answers if one]) - 1 == AT_ONCE
