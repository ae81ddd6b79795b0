"""What each service gets, to the field, and what its answers mean."""

import email.utils
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from asit_edge.config.notifications import NotificationSettings, NtfySink, PushoverSink, TelegramSink
from asit_edge.deliver.notify.note import Note
from asit_edge.deliver.notify.notifier import open_notifier
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.errors import WrongUse
from tests.deliver.notify.conftest import Each
from tests.deliver.notify.services import (
    CHAT,
    SECRETS,
    TOKEN,
    TOPIC,
    USER,
    NtfyServer,
    PushoverServer,
    Reply,
    Service,
    TelegramServer,
    secret_file,
)
from tests.integration.mosquitto import free_port
from tests.store.samples import event

CLIP = "https://hall.local/clips/1.flac"


def tell(settings: NotificationSettings, label: str = "Dog", clip: str | None = None) -> None:
    open_notifier(settings).tell(event().model_copy(update={"label": label, "clip": clip}))


def tell_note(settings: NotificationSettings, title: str, text: str) -> None:
    open_notifier(settings).service.tell(Note(title, text, "Dog", "normal", None, 0.0))


def test_ntfy_gets_json_at_its_root(ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink]) -> None:
    tell(to_ntfy(message="{label} at {source}", tags={"Hund 🐕": ["dog", "home"]}), "Hund 🐕", CLIP)
    [request] = ntfy.requests
    assert request.path == "/"
    assert request.headers["Authorization"] == f"Bearer {TOKEN['ntfy']}"
    assert request.headers["Content-Type"] == "application/json"
    assert ntfy.messages == [
        {
            "topic": TOPIC,
            "message": "Hund 🐕 at mic",
            "priority": 3,
            "title": "Hund 🐕",
            "tags": ["dog", "home"],
            "click": CLIP,
        }
    ]


@pytest.mark.parametrize(("priority", "number"), [("low", 2), ("normal", 3), ("high", 4), ("urgent", 5)])
def test_priorities_of_ntfy(ntfy: NtfyServer, to_ntfy: Callable[..., NtfySink], priority: str, number: int) -> None:
    tell(to_ntfy(priorities={"Dog": priority}, message="x"))
    tell(to_ntfy(priority=priority, message="x"), "Cat")
    assert [one["priority"] for one in ntfy.messages] == [number, number]
    assert ntfy.messages[0] == {"topic": TOPIC, "message": "x", "priority": number, "title": "Dog"}


def test_an_ntfy_server_may_know_a_user_or_nobody(ntfy: NtfyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTFY", ntfy.url.replace("http://", "http://ann:p%40ss@"))
    ntfy.replies = [Reply(200), Reply(200)]
    tell(NtfySink.model_validate({"type": "ntfy", "server": "${NTFY}", "topic": TOPIC}))
    tell(NtfySink.model_validate({"type": "ntfy", "server": f"{ntfy.url}/", "topic": TOPIC}))
    assert [one.headers.get("Authorization") for one in ntfy.requests] == ["Basic YW5uOnBAc3M=", None]
    assert [one.path for one in ntfy.requests] == ["/", "/"]


def test_pushover_gets_a_form(pushover: PushoverServer, to_pushover: Callable[..., PushoverSink]) -> None:
    tell(to_pushover(message="{label} & co = {source}"), "Hund 🐕", CLIP)
    tell(to_pushover(priorities={"Smoke alarm": "urgent"}, title="!"), "Smoke alarm")
    tell(to_pushover(priority="low"))
    assert [(one.path, one.headers["Content-Type"]) for one in pushover.requests] == 3 * [
        ("/1/messages.json", "application/x-www-form-urlencoded")
    ]
    first, second, third = pushover.messages
    who = {"token": TOKEN["pushover"], "user": USER, "timestamp": "1767225600"}
    assert first == who | {"title": "Hund 🐕", "message": "Hund 🐕 & co = mic", "priority": "0", "url": CLIP}
    assert second["title"] == "!"
    assert (second["priority"], second["retry"], second["expire"]) == ("2", "60", "3600"), "until somebody confirms it"
    assert (third["priority"], "retry" in third, "url" in third) == ("-1", False, False)


def test_telegram_gets_plain_text_and_fetches_no_clip(
    telegram: TelegramServer, to_telegram: Callable[..., TelegramSink]
) -> None:
    tell(to_telegram(message="{label} <b>*_"), "Hund 🐕", CLIP)
    tell(to_telegram(priority="low", title=" ", message="x"))
    assert [one.path for one in telegram.requests] == 2 * [f"/bot{TOKEN['telegram']}/sendMessage"]
    plain = {"chat_id": CHAT, "link_preview_options": {"is_disabled": True}}
    assert telegram.messages == [
        plain | {"text": f"Hund 🐕\nHund 🐕 <b>*_\n{CLIP}", "disable_notification": False},
        plain | {"text": "x", "disable_notification": True},
    ]
    assert TelegramSink.model_validate({"type": "telegram", "token": "${T}", "chat": -100123}).chat == "-100123"


def test_what_is_too_long_is_cut_to_what_each_service_takes(
    each: Each, ntfy: NtfyServer, pushover: PushoverServer, telegram: TelegramServer
) -> None:
    for _, to in each:
        tell_note(to(), "🐕" * 300, "🐕" * 5_000)
    assert str(ntfy.messages[0]["message"]).startswith("🐕" * 1_000)
    assert len(str(ntfy.messages[0]["title"]).encode()) <= 250
    assert len(pushover.messages[0]["message"]) == 1_024
    assert len(pushover.messages[0]["title"]) == 250
    assert str(telegram.messages[0]["text"]).startswith("🐕" * 300 + "\n" + "🐕" * 1_000)


def test_a_label_with_line_breaks_adds_no_header_and_no_field(
    ntfy: NtfyServer,
    to_ntfy: Callable[..., NtfySink],
    pushover: PushoverServer,
    to_pushover: Callable[..., PushoverSink],
) -> None:
    evil = "Dog\r\nX-Evil: 1\r\n\r\nPOST / HTTP/1.1&priority=2"
    tell(to_ntfy(), evil)
    tell(to_pushover(), evil)
    assert "X-Evil" not in ntfy.requests[0].headers
    assert len(ntfy.requests) == 1
    assert ntfy.messages[0]["title"] == r"Dog\r\nX-Evil: 1\r\n\r\nPOST / HTTP/1.1&priority=2"
    assert pushover.messages[0]["priority"] == "0"


def test_every_service_is_reached_through_tls_that_is_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for kind, server in (
        (NtfySink, NtfyServer(authority)),
        (PushoverSink, PushoverServer(authority)),
        (TelegramSink, TelegramServer(authority)),
    ):
        name = kind.model_fields["name"].default
        given = {"type": name, "server": server.url, "token_file": secret_file(tmp_path, "token", TOKEN[name])}
        given |= {
            "ntfy": {"topic": TOPIC},
            "pushover": {"user_file": secret_file(tmp_path, "user", USER)},
            "telegram": {"chat": CHAT},
        }[name]
        with pytest.raises(Unavailable, match="certificate verify failed"):
            tell(kind.model_validate(given))
        assert server.requests == [], "nothing is said before"
        tell(kind.model_validate(given | {"ca_file": tmp_path / "ca.pem"}))
        assert len(server.requests) == 1
        with pytest.raises(WrongUse, match=rf"sinks.{name}.ca_file .*: cannot be used"):
            open_notifier(kind.model_validate(given | {"ca_file": tmp_path / "none.pem"}))
        server.close()


def test_a_wrong_token_waits_and_is_said(
    tmp_path: Path,
    to_ntfy: Callable[..., NtfySink],
    to_pushover: Callable[..., PushoverSink],
    to_telegram: Callable[..., TelegramSink],
) -> None:
    other = secret_file(tmp_path, "other", "tk_other")
    bot = secret_file(tmp_path, "bot", "110201543:wrong")
    for settings, message in (
        (to_ntfy(token_file=other), "answered 401 unauthorized; check sinks.ntfy.token_file, or the user in"),
        (
            to_ntfy(token_file=None),
            "answered 403 forbidden; this user may not write to the topic; check sinks.ntfy.tok",
        ),
        (to_pushover(token_file=other), "400 application token is invalid; check sinks.pushover.token_file"),
        (to_pushover(user_file=other), "400 user identifier is not a valid user; check sinks.pushover.user_file"),
        (to_telegram(token_file=bot), "answered 401 Unauthorized; there is no such bot; check sinks.telegram.token_f"),
        (to_telegram(chat="@nobody"), "400 Bad Request: chat not found; write to the bot once; then check sinks.tele"),
    ):
        with pytest.raises(Unavailable, match=message):
            tell(settings)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, Refused) for status in (400, 413, 415, 422)),
        *((status, Unavailable) for status in (301, 401, 403, 404, 408, 429, 500, 502, 503)),
    ],
)
def test_what_is_final_and_what_is_tried_again(each: Each, status: int, error: type[Exception]) -> None:
    for server, to in each:
        for body in ({}, [], None, "text", {"errors": "x", "parameters": [], "error": {}, "description": 5}):
            server.replies = [Reply(status, body)]
            with pytest.raises(error, match=f"{server.url} answered {status}"):
                tell(to())


def test_who_asks_to_be_left_in_peace_is(
    ntfy: NtfyServer,
    to_ntfy: Callable[..., NtfySink],
    telegram: TelegramServer,
    to_telegram: Callable[..., TelegramSink],
) -> None:
    flood = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 35"}
    telegram.replies = [Reply(429, flood | {"parameters": {"retry_after": 35}})]
    with pytest.raises(Unavailable, match="429 Too Many Requests: retry after 35") as asked:
        tell(to_telegram())
    assert asked.value.wait == 35
    soon = email.utils.formatdate(time.time() + 90, usegmt=True)
    past = email.utils.formatdate(time.time() - 90, usegmt=True)
    for said, seconds in (("120", 120), (soon, 90), (past, 0), ("soon", 0), ("-5", 0), ("1e999", 0), ("", 0), ("٣", 0)):
        ntfy.replies = [Reply(429, None, {"Retry-After": said} if said.isascii() else {})]
        with pytest.raises(Unavailable) as asked:
            tell(to_ntfy())
        assert asked.value.wait == pytest.approx(seconds, abs=3), said


def test_no_message_tells_a_secret(each: Each) -> None:
    """Though the server repeats all that it was given."""
    echo = " ".join(SECRETS)
    for server, to in each:
        mine = [one for one in SECRETS if one.encode() in _sent(server, to)]
        assert len(mine) >= 2
        for status in (301, 400, 401, 403, 404, 429, 500):
            server.replies = [Reply(status, {"error": echo, "errors": [echo], "description": echo})]
            with pytest.raises((Refused, Unavailable)) as problem:
                tell(to())
            assert "***" in str(problem.value)
            assert not any(one in str(problem.value) for one in mine)
        with pytest.raises(Unavailable) as problem:
            tell(to(server=f"http://127.0.0.1:{free_port()}"))
        assert not any(one in str(problem.value) for one in mine)


def _sent(server: Service, to: Callable[..., NotificationSettings]) -> bytes:
    tell(to())
    request = server.requests[-1]
    return f"{request.path} {request.headers}".encode() + request.body


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("tk\rX-Evil: 1", "has a character that no token has"),
        ("gehéim", "has a character that no token has"),
    ],
)
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(
    tmp_path: Path, to_ntfy: Callable[..., NtfySink], secret: str, message: str
) -> None:
    with pytest.raises(WrongUse, match=f"sinks.ntfy.token: {message}") as refused:
        open_notifier(to_ntfy(token_file=secret_file(tmp_path, "odd", secret)))
    assert secret not in str(refused.value)


def test_secrets_that_cannot_be_right_are_refused_at_the_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    to_ntfy: Callable[..., NtfySink],
    to_telegram: Callable[..., TelegramSink],
) -> None:
    monkeypatch.setenv("EMPTY", " ")
    monkeypatch.setenv("WITH_TOPIC", "http://ntfy.local/mytopic")
    odd = secret_file(tmp_path, "odd", "my topic/1")
    for settings, message in (
        (to_ntfy(topic_file=odd), "sinks.ntfy.topic: must be 1 to 64 letters, digits, _ and -"),
        (to_ntfy(topic_file=tmp_path / "none"), r"sinks.ntfy.topic_file .*: cannot be read"),
        (to_ntfy(topic_file=None, topic="${EMPTY}"), "sinks.ntfy.topic: there is nothing in the environment under the"),
        (
            to_ntfy(server="${WITH_TOPIC}"),
            "sinks.ntfy.server: must be the server alone; the topic goes into sinks.ntfy",
        ),
        (to_ntfy(server="http://ann:x@h"), "the server's address has a user, and there is a token; leave one of them"),
        (to_ntfy(server="http://[x]"), "sinks.ntfy.server: is no address"),
        (to_telegram(token_file=odd), "sinks.telegram.token: is no bot's token"),
        (to_telegram(server="${WITH_TOPIC}"), "sinks.telegram.server: must be the server alone"),
    ):
        with pytest.raises(WrongUse, match=message):
            open_notifier(settings)


def test_secrets_may_stand_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, ntfy: NtfyServer, pushover: PushoverServer, telegram: TelegramServer
) -> None:
    for name, secret in {"A": TOKEN["ntfy"], "B": TOPIC, "C": USER, "D": CHAT}.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("E", TOKEN["pushover"])
    monkeypatch.setenv("F", TOKEN["telegram"])
    tell(NtfySink.model_validate({"type": "ntfy", "server": ntfy.url, "topic": "${B}", "token": "${A}"}))
    base = {"type": "pushover", "server": pushover.url, "token": "${E}", "user": "${C}"}
    tell(PushoverSink.model_validate(base))
    tell(TelegramSink.model_validate({"type": "telegram", "server": telegram.url, "token": "${F}", "chat": "${D}"}))
    assert [len(server.requests) for server in (ntfy, pushover, telegram)] == [1, 1, 1]


def test_what_goes_over_the_network_in_the_clear_is_warned_of(
    to_ntfy: Callable[..., NtfySink], caplog: pytest.LogCaptureFixture
) -> None:
    open_notifier(to_ntfy())
    assert caplog.text == ""
    open_notifier(to_ntfy(server="http://ntfy.local:8080"))
    assert "sinks.ntfy.server: over http:// the network can read all of it, secrets too; use https://" in caplog.text
