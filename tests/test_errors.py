"""Names as people gave them, in texts that every terminal takes."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import decodable, for_shell, readable

NAMES = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name and b"/" not in name)
"""Whatever a file may be called."""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"mod\xe0.wav", r"mod\xe0.wav"),
        (b"two\nlines.wav", r"two\nlines.wav"),
        (b"\x1b[31mred.wav", r"\x1b[31mred.wav"),
        ("Käuzchen 夜 .wav".encode(), "Käuzchen 夜 .wav"),
        ("turned\u202eback".encode(), r"turned\u202eback"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: bytes, shown: str) -> None:
    assert readable(os.fsdecode(name)) == shown


@given(NAMES)
def test_every_name_fits_on_a_line_and_into_json(name: bytes) -> None:
    text = os.fsdecode(name)
    assert len(readable(text).encode().splitlines()) == 1
    line = json.dumps({"file": decodable(text)}, ensure_ascii=False).encode()
    assert b"\n" not in line
    assert json.loads(line.decode())["file"] == decodable(text)


@given(st.lists(NAMES, min_size=1, max_size=20, unique=True))
def test_a_name_in_a_command_is_the_name_when_it_is_pasted(names: list[bytes]) -> None:
    command = "printf '%s\\0' " + " ".join(for_shell(Path(os.fsdecode(name))) for name in names)
    assert command.isprintable()
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, env=env)
    assert [one.removeprefix(b"./") for one in done.stdout.split(b"\0")[:-1]] == [
        os.fsencode(Path(os.fsdecode(name))) for name in names
    ]


def test_a_name_in_a_command_is_no_option_and_no_address() -> None:
    assert for_shell(Path("-y.m4a")) == "./-y.m4a"
    assert for_shell(Path("http:a b.m4a")) == "'./http:a b.m4a'"
    assert for_shell(Path("/a/b.m4a")) == "/a/b.m4a"
