"""The page behind Home Assistant's ingress: below a path, under any name, for whom that has let in and nobody else."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import asit_edge.web
from asit_edge.config.web import WebSettings
from asit_edge.web.app import make_app
from asit_edge.web.guards.access import Access, read_token
from asit_edge.web.parts import Parts

INGRESS = "172.30.32.2"
PATH = "/api/sources/kitchen/commands"
COMMAND = {"command": "threshold", "label": "Low tone", "value": 0.7}
THROUGH = {"host": "172.30.33.5:8490", "x-forwarded-host": "ha.example.org", "x-ingress-path": "/api/hassio_ingress/x"}


@pytest.fixture
def asking(parts: Parts) -> Callable[..., TestClient]:
    def asked(address: str, access: Access | None = None) -> TestClient:
        app = make_app(replace(parts, ingress=INGRESS, access=access or Access(None)))
        return TestClient(app, client=(address, 50_000), headers=THROUGH)

    return asked


def test_whom_home_assistant_has_let_in_sees_and_changes(asking: Callable[..., TestClient], parts: Parts) -> None:
    for access in (Access(None), Access("a-token-of-somebody")):
        page = asking(INGRESS, access)
        headers = page.get("/").headers
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["x-frame-options"] == "SAMEORIGIN"
        framed = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
        assert page.get("/", headers=framed).status_code == 200
        assert page.get("/api/session").json() == {"needed": access.needed, "admitted": True}
        assert page.get("/api/state").json()["device"] == "hall"
        own = {"origin": "https://ha.example.org", "sec-fetch-site": "same-origin"}
        assert page.post(PATH, json=COMMAND, headers=own).status_code == 202
        parts.commands.get_nowait()


def test_a_page_of_somebody_else_changes_nothing_through_it(asking: Callable[..., TestClient], parts: Parts) -> None:
    page = asking(INGRESS)
    for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert page.post(PATH, json=COMMAND, headers=foreign).status_code == 403
    assert parts.commands.empty()


@pytest.mark.parametrize("address", ["172.30.33.9", "192.168.1.7", "172.30.32.22", "fd00::2"])
def test_nobody_else_is_answered(asking: Callable[..., TestClient], address: str) -> None:
    for path in ("/", "/api/state", "/metrics", "/healthz", "/static/page.js"):
        answer = asking(address).get(path)
        assert answer.status_code == 403, path
        assert "only Home Assistant's ingress" in answer.json()["error"]
    known = {"host": "127.0.0.1", "authorization": "Bearer a-token-of-somebody"}
    page = asking(address, Access("a-token-of-somebody"))
    assert page.get("/api/state", headers={"host": "127.0.0.1"}).status_code == 401, "there is a token for others"
    assert page.get("/api/state", headers=known).status_code == 200


def test_this_machine_still_asks_whether_it_is_well(asking: Callable[..., TestClient]) -> None:
    page = asking("127.0.0.1")
    assert page.get("/healthz", headers={"host": "127.0.0.1"}).status_code == 200
    assert "frame-ancestors 'none'" in page.get("/", headers={"host": "127.0.0.1"}).headers["content-security-policy"]


def test_with_an_ingress_the_page_may_be_served_to_others_without_a_token() -> None:
    assert read_token(WebSettings(host="0.0.0.0", ingress=INGRESS)) is None


def test_no_address_of_the_page_begins_at_the_top() -> None:
    for file in sorted(Path(asit_edge.web.__file__).with_name("static").iterdir()):
        text = file.read_text(encoding="utf-8")
        assert re.findall(r"""["'`(]/(?:api|static|clips|metrics|healthz)\b""", text) == [], file.name
