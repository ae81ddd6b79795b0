"""Names that nobody answers for: the broker's and a web hook's are looked up for ever, and nothing waits for them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import soundfile

from tests.conftest import RATE, ROOT, tones
from tests.integration.mosquitto import wait_for
from tests.integration.test_delivery import write_config
from tests.integration.test_mqtt import ENVIRONMENT

UNANSWERED = """
import socket, sys, threading
from pathlib import Path

asked = Path(sys.argv.pop())
look_up = socket.getaddrinfo

def never(host, *rest, **more):
    if str(host).endswith(".invalid"):
        with asked.open("a") as file:
            print(host, file=file)
        threading.Event().wait()
    return look_up(host, *rest, **more)

socket.getaddrinfo = never
from asit_edge.__main__ import main
main()
"""


def test_names_that_nobody_answers_for_make_neither_listening_nor_sigterm_wait(
    tmp_path: Path, tone_bundle: Path
) -> None:
    sound, asked, told = tmp_path / "sound.wav", tmp_path / "asked", tmp_path / "told.jsonl"
    soundfile.write(sound, tones(*[(500, 0.4), (0, 0.6)] * 60), RATE)
    config = write_config(
        tmp_path,
        tone_bundle,
        [{"type": "file", "name": "mic", "path": str(sound)}],
        {"host": "broker.invalid"},
        events={"merge_gap": 0.2},
        sinks=[{"type": "webhook", "name": "hook", "url": "http://hook.invalid/x"}],
    )
    command = [sys.executable, "-c", UNANSWERED, "listen", "--config", str(config), str(asked)]
    with told.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=ROOT)
    try:
        wait_for(
            lambda: asked.exists() and set(asked.read_text().split()) == {"broker.invalid", "hook.invalid"},
            60,
            "both names are looked up",
        )
        before = told.read_text().count('"end"')
        wait_for(lambda: told.read_text().count('"end"') >= before + 4, 20, "four more events end meanwhile")
        began = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=25)
    finally:
        process.kill()
    assert time.monotonic() - began < 20
    assert process.returncode == 0, err
    assert "cannot keep up" not in err
    ids = [(one["type"], one["id"]) for one in map(json.loads, told.read_text().splitlines())]
    assert {id_ for type_, id_ in ids if type_ == "new"} == {id_ for type_, id_ in ids if type_ == "end"}
