"""Where things are kept: in systemd's directories, or else in the user's."""

from pathlib import Path

import pytest

from asit_edge.errors import WrongUse
from asit_edge.host.directories import default_cache, state_directory


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE_DIRECTORY", "STATE_DIRECTORY", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")


def test_a_user_has_them_at_home_or_where_xdg_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_cache() == Path("/home/ann/.cache/asit-edge")
    assert state_directory() == Path("/home/ann/.local/state/asit-edge")
    monkeypatch.setenv("XDG_STATE_HOME", "/data/state")
    assert state_directory() == Path("/data/state/asit-edge")


def test_a_service_has_the_first_of_those_that_systemd_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/data/cache")
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/asit-edge:/var/cache/more")
    assert default_cache() == Path("/var/cache/asit-edge")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(WrongUse, match=r"set HOME or STATE_DIRECTORY .* or store.path in config.yaml"):
        state_directory()
    with pytest.raises(WrongUse, match="set HOME or CACHE_DIRECTORY"):
        default_cache()
    monkeypatch.setenv("STATE_DIRECTORY", "/data")
    assert state_directory() == Path("/data")
