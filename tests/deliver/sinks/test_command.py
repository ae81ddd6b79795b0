"""The command: what it gets, and what its exit code means."""

from pathlib import Path

import pytest

from asit_edge.config.delivery import CommandSink
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.command import open_command
from asit_edge.errors import WrongUse
from tests.deliver.sinks.parts import EVENT, script


def test_a_command_gets_the_event_and_its_facts(tmp_path: Path) -> None:
    program = script(tmp_path / "siren", f'cat > {tmp_path}/event; echo "$1 $ASIT_TYPE $ASIT_LABEL" > {tmp_path}/facts')
    open_command(CommandSink(type="command", run=[str(program), "--loud"]))(EVENT)
    assert (tmp_path / "event").read_text() == EVENT + "\n"
    assert (tmp_path / "facts").read_text() == "--loud new Dog\n"


def test_a_command_says_later_or_never_by_its_exit_code(tmp_path: Path) -> None:
    later = script(tmp_path / "later", "exit 75")
    never = script(tmp_path / "never", "echo no such siren >&2; exit 3")
    with pytest.raises(Unavailable, match="later ended with 75"):
        open_command(CommandSink(type="command", run=[str(later)]))(EVENT)
    with pytest.raises(Refused, match="never ended with 3: no such siren"):
        open_command(CommandSink(type="command", run=[str(never)]))(EVENT)


def test_a_command_that_hangs_is_killed(tmp_path: Path) -> None:
    program = script(tmp_path / "hangs", "exec sleep 60")
    with pytest.raises(Refused, match="took longer than 0.2 s"):
        open_command(CommandSink(type="command", run=[str(program)], timeout=0.2))(EVENT)


def test_a_program_that_is_not_there_is_said_at_the_start() -> None:
    with pytest.raises(WrongUse, match=r"sinks.siren.run: no program '/nowhere/siren'"):
        open_command(CommandSink(type="command", name="siren", run=["/nowhere/siren"]))
