"""`adjustments.yaml`: what is kept comes back, nobody's change is lost, and a damaged file stops nobody."""

import fcntl
import logging
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.adjust import file as files
from asit_edge.adjust.adjustments import NOTHING, Adjustments, obeyed
from asit_edge.adjust.file import AdjustmentsFile
from asit_edge.errors import AsitEdgeError
from asit_edge.mqtt.commands import Command
from tests.adjust.test_adjustments import COMMANDS, NOW, after

OFF = Command("mic", "listen", None, False)


@pytest.fixture
def file(tmp_path: Path) -> AdjustmentsFile:
    return AdjustmentsFile(tmp_path / "state" / "adjustments.yaml")


def obey(file: AdjustmentsFile, *commands: Command) -> Adjustments:
    for command in commands:
        written = file.change(lambda before, command=command: obeyed(before, command, NOW)).adjustments
    return written


@given(st.lists(COMMANDS, min_size=1, max_size=8))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, commands: list[Command]) -> None:
    file = AdjustmentsFile(tmp_path_factory.mktemp("state") / "adjustments.yaml")
    assert obey(file, *commands) == after(*commands) == file.read()


def test_a_label_of_any_name_is_kept(file: AdjustmentsFile) -> None:
    for name in ("Baby cry, infant cry", "no", "0.5", "Café: é\n", "- [x]", "😀"):
        obey(file, Command("mic", "report", name, False))
        assert not file.read().of("mic").labels[name].report


def test_it_is_for_its_owner_alone_and_says_only_what_differs(file: AdjustmentsFile) -> None:
    assert file.read() == NOTHING
    obey(file, Command("mic", "threshold", "Dog", 0.7))
    assert {one.name: one.stat().st_mode & 0o777 for one in file.path.parent.iterdir()} == {
        "adjustments.yaml": 0o600,
        "adjustments.yaml.lock": 0o600,
    }
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert file.path.read_text() == (
        "schema_version: 1\nsources:\n  mic:\n    labels:\n      Dog:\n        threshold: 0.7\n"
    )


def test_what_changes_nothing_writes_nothing(file: AdjustmentsFile) -> None:
    obey(file, OFF)
    before = file.stamp()
    assert obey(file, OFF) == after(OFF)
    assert file.stamp() == before
    obey(file, Command("mic", "listen", None, True))
    assert file.stamp() != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sources: {mic: {listen: false", "not valid YAML"),
        (b"sources: {mic: {lisen: false}}", "unknown key 'sources.mic.lisen' (did you mean 'listen'?)"),
        (b"schema_version: 2\n", "schema_version: input should be 1"),
        (b"sources: {mic: {labels: {Dog: {threshold: 1.5}}}}", "sources.mic.labels.Dog.threshold"),
        (b"sources: {mic: {snooze: {begin: 0, until: 900000}}}", "until must be later than begin, by at most 604800"),
        (b"sources: {mic: {snooze: {begin: .nan, until: .inf}}}", "must be a finite number"),
        (b"- a\n- b\n", "adjustments.yaml"),
        (b"\xff\xfe", "a character that is not UTF-8"),
        (b"#" * (1 << 22) + b"\n", "is larger than 4 MB"),
    ],
)
def test_a_damaged_file_is_named_and_set_aside_by_the_next_change(
    file: AdjustmentsFile, content: bytes, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.path.parent.mkdir()
    for times in (1, 2):
        file.path.write_bytes(content)
        with pytest.raises(AsitEdgeError) as error:
            file.read()
        assert said in str(error.value)
        with caplog.at_level(logging.WARNING):
            assert obey(file, OFF) == after(OFF)
        assert "it is kept as adjustments.yaml.damaged-" in caplog.text
        assert file.read() == after(OFF)
        kept = [one for one in file.path.parent.iterdir() if ".damaged-" in one.name]
        assert [one.read_bytes() for one in kept] == [content] * times


def test_an_empty_file_is_nothing_adjusted(file: AdjustmentsFile) -> None:
    file.path.parent.mkdir()
    file.path.write_text("")
    assert file.read() == NOTHING


def test_who_holds_it_for_too_long_is_told_and_nothing_is_written(
    file: AdjustmentsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    obey(file, OFF)
    monkeypatch.setattr(files, "PATIENCE", 0.05)
    with file.path.with_name("adjustments.yaml.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AsitEdgeError, match="another asit-edge has had it locked for 0.05 s"):
            obey(file, Command("mic", "listen", None, True))
    assert obey(file, Command("mic", "listen", None, True)) == NOTHING


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    with pytest.raises(AsitEdgeError, match=r"adjustments.yaml.lock: cannot be made"):
        obey(AdjustmentsFile(tmp_path / "state" / "adjustments.yaml"), OFF)


def _adjust_many(path: Path, labels: list[str]) -> None:
    for label in labels:
        obey(AdjustmentsFile(path), Command("mic", "report", label, False))


def test_two_that_write_at_once_lose_nothing(file: AdjustmentsFile) -> None:
    context = multiprocessing.get_context("spawn")
    names = [[f"{writer} {number}" for number in range(40)] for writer in ("a", "b", "c")]
    writers = [context.Process(target=_adjust_many, args=(file.path, some)) for some in names]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert [one.exitcode for one in writers] == [0, 0, 0]
    assert set(file.read().of("mic").labels) == {name for some in names for name in some}
    assert sorted(os.listdir(file.path.parent)) == ["adjustments.yaml", "adjustments.yaml.lock"]
