"""Names under which this machine may be asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.web.guards.hosts import Hosts, name_in, same_origin


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8490", "localhost"),
        ("127.0.0.1:8490", "127.0.0.1"),
        ("[::1]:8490", "::1"),
        ("box.local.", "box.local"),
        (None, None),
        ("", None),
        ("a@localhost", None),
        ("localhost/", None),
        ("localhost?", None),
        ("localhost#x", None),
        ("localhost:port", None),
        ("localhost:99999", None),
        ("[::1", None),
    ],
)
def test_the_name_in_a_header(header: str | None, name: str | None) -> None:
    assert name_in(header) == name


@pytest.mark.parametrize(
    ("bound", "allowed", "foreign"),
    [
        ("127.0.0.1", ["localhost", "127.0.0.1:1", "[::1]", "box", "box.local", "my.example.org"], ["192.0.2.1"]),
        ("0.0.0.0", ["localhost", "192.0.2.1", "[2001:db8::1]:8490", "BOX.local"], []),
        ("192.0.2.7", ["192.0.2.7", "localhost"], ["192.0.2.8"]),
    ],
)
def test_own_names_and_no_others(bound: str, allowed: list[str], foreign: list[str]) -> None:
    hosts = Hosts(bound, ["my.example.org"], machine="Box")
    assert [one for one in allowed if not hosts.allows(one)] == []
    for one in [
        *foreign,
        "evil.example",
        "localhost.evil.example",
        "box.evil.example",
        "127.0.0.1.nip.io",
        "local",
        "",
    ]:
        assert not hosts.allows(one)


@given(st.text())
def test_any_header_is_judged(header: str) -> None:
    assert Hosts("0.0.0.0", machine="box").allows(header) in (True, False)
    assert same_origin(header, header) is False or "://" in header


def test_an_origin_is_where_the_request_goes() -> None:
    assert same_origin("http://box:8490", "box:8490")
    assert same_origin("https://Sounds.example.org", "sounds.example.org"), "a proxy has taken TLS off"
    for origin in ("null", "http://box", "http://box:8491", "http://evil.example", "file://box:8490", ""):
        assert not same_origin(origin, "box:8490")
