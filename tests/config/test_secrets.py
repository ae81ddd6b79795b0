"""Secrets come from files and the environment in whatever way they were written there, and nothing tells them."""

import codecs
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.config.secrets import fill_in, has_secret, host_of, read_secret, unclear, with_password, without_secrets
from asit_edge.errors import WrongUse


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \n", "\t\r\n\r\n", "\nsecond line\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_secret_is_read_however_an_editor_saved_it(tmp_path: Path, mark: bytes, encoding: str, end: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(mark + f"gehéim x{end}".encode(encoding))
    assert read_secret(file, "mqtt.password_file") == "gehéim x"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its first line is empty"),
        (b"\r\nsecret\n", "its first line is empty"),
        (b"\xff\xfeg", "is not a text; save it as UTF-8"),
        ("geheim".encode("utf-16-le"), "is not a text; save it as UTF-8"),
        (b"g\xe4h\n", "is not a text; save it as UTF-8"),
    ],
)
def test_a_file_without_a_secret_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(WrongUse, match=f"mqtt.password_file {file}: {message}"):
        read_secret(file, "mqtt.password_file")


def test_a_directory_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="is a directory; name a file"):
        read_secret(tmp_path, "mqtt.password_file")
    with pytest.raises(WrongUse, match=r"nothing: cannot be read \(No such file or directory\)"):
        read_secret(tmp_path / "nothing", "mqtt.password_file")


def test_variables_are_filled_in_as_parts_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMERA", "p@s/s w?rd")
    assert fill_in("rtsp://ann:${CAMERA}@cam/1", "url") == "rtsp://ann:p%40s%2Fs%20w%3Frd@cam/1"
    monkeypatch.setenv("ADDRESS", "rtsp://ann:x@cam/1")
    assert fill_in("${ADDRESS}", "url") == "rtsp://ann:x@cam/1"
    assert fill_in("rtsp://cam/$1/${", "url") == "rtsp://cam/$1/${"
    with pytest.raises(WrongUse, match=r"sources\[0\].url: there is no variable NOBODY in the environment"):
        fill_in("rtsp://ann:${NOBODY}@cam/1", "sources[0].url")


def test_a_password_goes_to_the_user_of_an_address() -> None:
    assert with_password("rtsp://ann@cam:554/1?x=1", "p@ss", "k") == "rtsp://ann:p%40ss@cam:554/1?x=1"
    for url in ("rtsp://cam/1", "rtsp://ann:old@cam/1", "yard.wav"):
        with pytest.raises(WrongUse, match="^k: the url .*USER@host"):
            with_password(url, "secret", "k")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("rtsp://camera.local/audio", "camera.local"),
        ("http://cam/x?user=admin&password=geheim", "cam"),
        ("rtsp://admin:p@ss@cam:554/1", "cam"),
        ("http://cam?token=geheim", "cam"),
        ("http://admin:geheim@[fe80::1]:8080/x", "[fe80::1]"),
        ("rtsp://admin:geheim@cam#part", "cam"),
        ("udp://@:1234", "udp"),
        ("recordings/yard.wav", "yard.wav"),
        ("hw:1", "hw:1"),
    ],
)
def test_only_the_host_is_told(url: str, host: str) -> None:
    assert host_of(url) == host


def test_which_addresses_others_must_not_see() -> None:
    assert not has_secret("rtsp://camera.local/audio")
    assert not has_secret("what?.wav")
    for url in ("rtsp://ann@cam/", "http://cam/x?token=1", "http://cam/#1"):
        assert has_secret(url)


def test_a_slash_in_a_password_makes_an_address_unclear() -> None:
    assert unclear("rtsp://admin:p/ss@cam/1")
    assert not unclear("rtsp://admin:p@ss@cam/1")
    assert not unclear("http://cam:8080/@home")
    assert not unclear("http://[fe80::1]:80/@home")


SECRET = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#&=+%:"), min_size=4)


@given(SECRET, SECRET, SECRET)
def test_no_text_about_an_address_tells_its_secrets(user: str, password: str, token: str) -> None:
    user, password, token = f"<{user}", f"<{password}", f"<{token}"
    url = f"http://{user}:{password}@cam/x?user={user}&password={token}"
    for said in (
        f"{url}: Connection refused",
        f"[http @ 0x1] opening '{url}' for reading failed",
        f"user {user} with {password} and {quote(token)}: 401",
        f"http://cam/y?password={token}",
        f"GET /x?user={user}&password={token}",
    ):
        told = without_secrets(said, url)
        assert not any(secret in told for secret in (user, password, token, quote(token)))
