"""Who may look: the token, sessions, and how guessing is slowed down."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.config.web import WebSettings
from asit_edge.errors import WrongUse
from asit_edge.web.guards.access import FREE_GUESSES, LASTING, MOST_SESSIONS, Access, TooManyGuesses, read_token

TOKEN = "correct horse battery"
ME, OTHER = "192.0.2.1", "192.0.2.2"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def guess(access: Access, token: str = "wrong", address: str = ME) -> bool:
    return access.admits(None, f"Bearer {token}", address)


def test_on_this_machine_alone_no_token_is_needed() -> None:
    assert read_token(WebSettings()) is None
    assert read_token(WebSettings(host="::1")) is None
    assert Access(None).admits(None, None, ME)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_others_need_a_token_and_the_remedy_works_when_pasted(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        WrongUse, match=rf"web.host {re.escape(host)}: other machines reach it, so it needs a token"
    ) as no:
        read_token(WebSettings(host=host))
    monkeypatch.setenv("HOME", str(tmp_path))
    command, key = re.findall(r"`([^`]*)`", str(no.value))
    subprocess.run(["bash", "-c", command], check=True)
    settings = WebSettings.model_validate({"host": host, **yaml.safe_load(key)["web"]})
    assert settings.token_file is not None
    assert settings.token_file.stat().st_mode & 0o777 == 0o600
    token = read_token(settings)
    assert token is not None
    assert len(token) == 24


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    with pytest.raises(WrongUse, match="a token of 7 characters can be guessed") as no:
        read_token(WebSettings(token_file=tmp_path / "token"))
    assert "hunter2" not in str(no.value)


def test_the_token_opens_and_nothing_else_does() -> None:
    access = Access(TOKEN)
    assert guess(access, TOKEN)
    assert access.admits(None, f"bearer {TOKEN}", ME)
    for authorization in (None, "", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN[:-1]}"):
        assert not access.admits(None, authorization, ME)
    assert not access.admits(TOKEN, None, ME), "a session is another secret"


@given(st.text())
def test_no_text_is_a_session_or_a_token(text: str) -> None:
    assert not Access(TOKEN).admits(text, text, ME)


def test_sessions_end() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    session = access.begin(TOKEN, ME)
    assert session is not None
    assert TOKEN not in session
    assert access.admits(session, None, OTHER)
    clock.now += LASTING
    assert not access.admits(session, None, ME)
    again = access.begin(TOKEN, ME)
    assert again is not None
    assert again != session
    access.end(again)
    assert not access.admits(again, None, ME)


def test_sessions_are_bounded_and_the_oldest_goes() -> None:
    access = Access(TOKEN)
    sessions = [access.begin(TOKEN, ME) for _ in range(MOST_SESSIONS + 1)]
    assert not access.admits(sessions[0], None, ME)
    assert access.admits(sessions[1], None, ME)
    assert access.admits(sessions[-1], None, ME)


def test_guessing_is_slowed_down_and_no_oracle_meanwhile() -> None:
    clock = Clock()
    access = Access(TOKEN, clock)
    tried = 0
    for _ in range(3600):
        clock.now += 1
        try:
            guess(access)
        except TooManyGuesses as wait:
            assert 0 < wait.seconds <= 60
            with pytest.raises(TooManyGuesses):
                guess(access, TOKEN)
        else:
            tried += 1
    assert tried < FREE_GUESSES + 70, "guesses in an hour"
    assert guess(access, TOKEN, OTHER), "others are not held up"
    clock.now += 61
    assert guess(access, TOKEN)
    assert not guess(access), "begins anew"


def test_a_network_of_addresses_is_one_guesser() -> None:
    access = Access(TOKEN, Clock())
    for number in range(FREE_GUESSES):
        assert not guess(access, address=f"2001:db8::{number}")
    with pytest.raises(TooManyGuesses):
        guess(access, address="2001:db8::ffff")
    assert not guess(access, address="2001:db8:1::1")


def test_guessers_are_bounded() -> None:
    access = Access(TOKEN, Clock())
    for number in range(2_000):
        guess(access, address=f"10.0.{number // 250}.{number % 250}")
    assert len(access._guessers) <= 512
