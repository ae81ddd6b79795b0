"""Work that another unit does: it is answered once, also by whom was ended; where no unit looks, that is said."""

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asit_edge.errors import AsitEdgeError
from asit_edge.host import delegated
from asit_edge.host.delegated import ANSWER, CLAIMED, REQUEST, NobodyBegins, answer_for_the_ended, ask, do_asked


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegated, "EVERY", 0.01)


def asked(folder: Path, work: Mapping[str, Any]) -> tuple[threading.Thread, list[BaseException]]:
    """Asks in a thread, and returns once the request lies there."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            ask(folder, work)
        except AsitEdgeError as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while not (folder / REQUEST).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return thread, raised


def done(thread: threading.Thread) -> None:
    thread.join(10)
    assert not thread.is_alive()


def test_it_is_done_once_and_nothing_is_left(tmp_path: Path) -> None:
    thread, raised = asked(tmp_path, {"precision": "fp16"})
    assert (tmp_path / REQUEST).stat().st_mode & 0o077 == 0
    seen: list[Mapping[str, Any]] = []
    do_asked(tmp_path, seen.append)
    do_asked(tmp_path, seen.append)  # nothing is asked any more
    done(thread)
    assert (seen, raised, list(tmp_path.iterdir())) == ([{"precision": "fp16"}], [], [])


def test_why_it_could_not_be_done_is_handed_back(tmp_path: Path) -> None:
    def fail(work: Mapping[str, Any]) -> None:
        raise AsitEdgeError("TensorRT is not installed")

    thread, raised = asked(tmp_path, {})
    with pytest.raises(AsitEdgeError, match="not installed"):
        do_asked(tmp_path, fail)
    done(thread)
    assert [str(one) for one in raised] == ["TensorRT is not installed"]


@pytest.mark.parametrize(("result", "words"), [("oom-kill", "ran out of memory"), ("timeout", "was ended (timeout)")])
def test_who_was_ended_is_answered_for(tmp_path: Path, result: str, words: str) -> None:
    thread, raised = asked(tmp_path, {})
    (tmp_path / REQUEST).rename(tmp_path / CLAIMED)  # begun, and killed
    answer_for_the_ended(tmp_path, {"SERVICE_RESULT": result})
    done(thread)
    assert str(raised[0]) == f"the builder {words}; see journalctl -u asit-edge-build"


def test_after_an_answer_nothing_is_added(tmp_path: Path) -> None:
    (tmp_path / ANSWER).write_text(json.dumps({"name": "a", "problem": ""}))
    answer_for_the_ended(tmp_path, {"SERVICE_RESULT": "success"})
    assert json.loads((tmp_path / ANSWER).read_text()) == {"name": "a", "problem": ""}


def test_an_answer_to_somebody_else_is_none(tmp_path: Path) -> None:
    (tmp_path / ANSWER).write_text(json.dumps({"name": "older", "problem": ""}))
    thread, raised = asked(tmp_path, {})
    time.sleep(0.05)
    assert thread.is_alive()
    do_asked(tmp_path, lambda work: None)
    done(thread)
    assert raised == []


def test_where_no_unit_looks_the_request_is_taken_back(tmp_path: Path) -> None:
    with pytest.raises(NobodyBegins, match=r"request\.json: no unit has begun with it in 0\.1 s"):
        ask(tmp_path, {}, patience=0.1)
    assert list(tmp_path.iterdir()) == []


def test_a_unit_that_never_answers_is_given_up(tmp_path: Path) -> None:
    def claim() -> None:
        while not (tmp_path / REQUEST).exists():
            time.sleep(0.01)
        (tmp_path / REQUEST).rename(tmp_path / CLAIMED)

    threading.Thread(target=claim, daemon=True).start()
    with pytest.raises(AsitEdgeError, match=r"did not answer in 0\.5 s"):
        ask(tmp_path, {}, longest=0.5)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"work": null}'])
def test_what_is_no_request_is_answered_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / REQUEST).write_bytes(content)
    seen: list[Mapping[str, Any]] = []
    do_asked(tmp_path, seen.append)
    assert seen == [{}]
    assert not (tmp_path / CLAIMED).exists()
