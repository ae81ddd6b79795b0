"""Attacks on the page that stop at its gate, and what every answer says."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import asit_edge.web
from asit_edge.clips.shelf import ClipShelf
from asit_edge.mqtt.commands import Command
from asit_edge.web.guards.access import Access
from asit_edge.web.guards.gate import A_SECOND, BURST, Rate
from asit_edge.web.parts import Parts
from tests.web.conftest import HERE, TOKEN, Client

SEEN = [
    "/api/state",
    "/api/labels",
    "/api/live",
    "/api/events",
    "/api/events.csv",
    "/api/history",
    "/clips/id-0",
    "/metrics",
]
COMMAND = {"command": "threshold", "label": "Low tone", "value": 0.7}
PATH = "/api/sources/kitchen/commands"


def test_every_answer_is_safe(client: Client) -> None:
    page = client()
    for path in ("/", "/static/page.css", "/api/state", "/nothing", "/healthz"):
        headers = page.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert page.get("/api/state").headers["cache-control"] == "no-store"


def test_the_page_has_no_inline_script_and_asks_nobody_else(client: Client) -> None:
    page = client()
    html = page.get("/").text
    assert re.findall(r"<script>|<style|\sstyle=|\son[a-z]+=", html) == []
    for file in sorted(Path(asit_edge.web.__file__).with_name("static").iterdir()):
        text = page.get(f"/static/{file.name}").text
        assert text == file.read_text(encoding="utf-8")
        assert set(re.findall(r"\w+://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}
        assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []


def test_without_the_token_nothing_is_seen_or_done(client: Client, parts: Parts) -> None:
    page = client(access=Access(TOKEN), exposition=lambda: b"secret")
    for path in SEEN:
        answer = page.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert set(answer.json()) == {"error"}
    assert page.post(PATH, json=COMMAND).status_code == 401
    assert page.post("/api/events/id-0/wrong", json={}).status_code == 401
    assert page.post("/api/missed", json={}).status_code == 401
    assert parts.commands.empty()
    assert page.get("/").status_code == page.get("/static/page.js").status_code == 200
    assert page.get("/healthz").json() == {"ok": True}, "well or not, and no more"
    assert page.get("/api/session").json() == {"needed": True, "admitted": False}


def test_the_token_is_given_once_and_kept_as_something_else(client: Client) -> None:
    page = client(access=Access(TOKEN))
    answer = page.post("/api/session", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert page.get("/api/state").status_code == 200
    assert page.get("/healthz").json()["sources"] == {"kitchen": "listening", "garden": "listening"}
    assert page.delete("/api/session").json() == {"admitted": False}
    assert page.get("/api/state").status_code == 401


def test_cookies_of_others_on_this_machine_are_no_hindrance(client: Client) -> None:
    """Browsers send them to every port; not all that they take is of the standard."""
    page = client(access=Access(TOKEN))
    session = page.post("/api/session", json={"token": TOKEN}).cookies["asit_edge"]
    page.cookies.clear()
    for others in ('prefs={"dark":true}', "a b=c", "=", ";;", "name", 'x="'):
        cookie = f"{others}; asit_edge={session}"
        assert page.get("/api/state", headers={"cookie": cookie}).status_code == 200, others
    assert page.get("/api/state", headers={"cookie": f"asit_edge_2={session}"}).status_code == 401


def test_behind_tls_the_cookie_stays_there(client: Client) -> None:
    page = client(access=Access(TOKEN))
    answer = page.post("/api/session", json={"token": TOKEN}, headers={"origin": HERE.replace("http:", "https:")})
    assert "Secure" in answer.headers["set-cookie"]


def test_programs_bring_the_token_with_each_request(client: Client) -> None:
    page = client(access=Access(TOKEN), exposition=lambda: b"up 1\n")
    assert page.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}).content == b"up 1\n"
    assert page.get("/metrics", headers={"authorization": "Bearer nonsense nonsense"}).status_code == 401


def test_guessing_tokens_is_slowed_down(client: Client) -> None:
    page = client(access=Access(TOKEN))
    answers = [page.post("/api/session", json={"token": f"guess {number}"}).status_code for number in range(20)]
    assert answers[:5] == [403] * 5
    assert answers.count(429) >= 14
    late = page.post("/api/session", json={"token": TOKEN})
    assert late.status_code == 429
    assert int(late.headers["retry-after"]) >= 1
    assert "too many wrong tokens" in late.json()["error"]
    assert page.get("/api/state", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_a_page_of_somebody_else_changes_nothing(client: Client, parts: Parts, headers: dict[str, str]) -> None:
    answer = client().post(PATH, json=COMMAND, headers=headers)
    assert (answer.status_code, parts.commands.empty()) == (403, True)


def test_a_form_of_somebody_else_changes_nothing(client: Client, parts: Parts) -> None:
    """Without an origin, as browsers of long ago: a form cannot say that it is JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = client().post(PATH, content=b'{"command":"listen","value":false}', headers={"content-type": kind})
        assert answer.status_code == 415
    assert parts.commands.empty()


def test_a_page_of_somebody_else_sees_nothing_but_may_link_here(client: Client) -> None:
    page, elsewhere = client(), {"sec-fetch-site": "cross-site"}
    link = {**elsewhere, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    frame = {**elsewhere, "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
    assert page.get("/", headers=link).status_code == 200
    assert page.get("/", headers=frame).status_code == 403
    assert page.get("/api/events.csv", headers=link).status_code == 403
    assert page.get("/api/state", headers={**elsewhere, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert page.get("/api/live", headers={**elsewhere, "sec-fetch-mode": "no-cors"}).status_code == 403


def test_the_page_itself_may(client: Client, parts: Parts) -> None:
    answer = client().post(PATH, json=COMMAND, headers={"origin": HERE, "sec-fetch-site": "same-origin"})
    assert answer.status_code == 202
    assert parts.commands.get_nowait() == Command("kitchen", "threshold", "Low tone", 0.7)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8490", "127.0.0.1.evil.example", "", "[", "box@evil"])
def test_a_foreign_name_is_refused(client: Client, host: str) -> None:
    page = client()
    for path in ("/", "/api/state", "/healthz", "/static/page.js"):
        answer = page.get(path, headers={"host": host})
        assert answer.status_code == 421
        assert "web.names" in answer.json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fapp.py",
        "/static/../app.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/page.css%00.html",
        "/static/.",
        "/static/",
        "/clips/..%2f..%2fetc%2fpasswd",
        "/clips/%2fetc%2fpasswd",
        "/clips/.",
        "//etc/passwd",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_anywhere_else(client: Client, path: str) -> None:
    class Everything:
        def find(self, event_id: str) -> Path | None:
            raise AssertionError(event_id)

        def at(self, name: str) -> Path | None:
            return ClipShelf(Path("/")).at(name)

    assert client(shelf=Everything()).get(path).status_code == 404


def test_a_head_that_is_too_large_is_refused(client: Client) -> None:
    page = client()
    assert page.get("/api/state", headers={"x-much": "a" * 15_000}).status_code == 200
    answer = page.get("/api/state", headers={"x-much": "a" * 17_000})
    assert (answer.status_code, "16384 bytes" in answer.json()["error"]) == (431, True)


def test_too_many_requests_are_refused_at_little_cost(client: Client) -> None:
    page = client()
    answers = [page.get("/static/icon.svg").status_code for _ in range(BURST + 100)]
    assert answers[:BURST] == [200] * BURST
    assert 429 in answers


def test_the_rate_is_of_each_address_and_bounded() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert sum(rate.admits("a") for _ in range(10 * BURST)) == BURST
    assert rate.admits("b")
    now[0] = 2.0
    assert sum(rate.admits("a") for _ in range(10 * BURST)) == 2 * A_SECOND
    for number in range(2_000):
        rate.admits(str(number))
    assert len(rate._left) <= 512


def test_what_fails_within_is_said_without_its_insides(client: Client) -> None:
    def broken() -> bytes:
        raise RuntimeError("inside")

    answer = client(exposition=broken).get("/metrics")
    assert answer.status_code == 500
    assert "inside" not in answer.text
    assert "content-security-policy" in answer.headers


def test_methods_that_are_none(client: Client) -> None:
    page: TestClient = client()
    assert page.put("/api/state").status_code == 405
    assert page.get("/api/missed").status_code == 405
    assert page.request("TRACE", "/").status_code == 405
