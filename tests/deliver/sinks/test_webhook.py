"""The webhook: one connection, what is final and what is tried again."""

import base64
import json
from pathlib import Path

import pytest

from asit_edge.config.delivery import WebhookSink
from asit_edge.deliver.sinks.base import Refused, Unavailable
from asit_edge.deliver.sinks.webhook import open_webhook
from asit_edge.errors import WrongUse
from tests.deliver.sinks.parts import EVENT, Server
from tests.integration.mosquitto import free_port


def test_a_webhook_posts_the_event_over_one_connection(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    send = open_webhook(WebhookSink(type="webhook", url=server.url, token_file=token))
    send(EVENT)
    send(EVENT)
    path, headers, body = server.requests[0]
    assert path == "/sounds?from=hall"
    assert body == json.loads(EVENT)
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"] == "id-7-new-0"
    assert server.connections == 1


@pytest.mark.parametrize("answer", [400, 413, 422])
def test_what_a_server_says_of_the_message_is_final(server: Server, answer: int) -> None:
    server.answers = [answer]
    with pytest.raises(Refused, match=f"answered {answer}"):
        open_webhook(WebhookSink(type="webhook", url=server.url))(EVENT)


@pytest.mark.parametrize("answer", [301, 401, 404, 429, 500, 503])
def test_what_may_be_put_right_is_tried_again(server: Server, answer: int) -> None:
    server.answers = [answer]
    with pytest.raises(Unavailable, match=f"answered {answer}"):
        open_webhook(WebhookSink(type="webhook", url=server.url))(EVENT)


def test_a_server_that_is_not_there_is_named() -> None:
    port = free_port()
    send = open_webhook(WebhookSink(type="webhook", url=f"http://user:secret@127.0.0.1:{port}/"))
    with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port}: .*refused") as error:
        send(EVENT)
    assert "secret" not in str(error.value)


def test_user_and_password_of_the_address_are_sent_as_what_they_are(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_PASSWORD", "p@ss/wörd:é")
    url = server.url.replace("http://", "http://hall%40home:${HOOK_PASSWORD}@")
    open_webhook(WebhookSink(type="webhook", url=url))(EVENT)
    path, headers, _ = server.requests[0]
    scheme, _, encoded = headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(encoded).decode()) == ("Basic", "hall@home:p@ss/wörd:é")
    assert headers["Host"] == server.url.split("/")[2], "and nowhere else"
    assert path == "/sounds?from=hall"


@pytest.mark.parametrize("answer", [401, 422, 500])
def test_what_is_secret_in_an_address_is_in_no_message(server: Server, answer: int) -> None:
    server.answers = [answer]
    url = server.url.replace("http://", "http://hall:tops3cret@") + "&token=als0secret"
    with pytest.raises((Refused, Unavailable)) as refusal:
        open_webhook(WebhookSink(type="webhook", url=url))(EVENT)
    with pytest.raises(Unavailable) as away:
        open_webhook(WebhookSink(type="webhook", url=f"http://hall:tops3cret@127.0.0.1:{free_port()}/?t=als0secret"))(
            EVENT
        )
    with pytest.raises(WrongUse, match="url: is no address") as impossible:
        open_webhook(WebhookSink(type="webhook", url=url.replace("127.0.0.1", "[127.0.0.1")))
    for error in (refusal, away, impossible):
        assert "s3cret" not in str(error.value)
        assert "als0secret" not in str(error.value)


def test_one_way_to_say_who_we_are_is_enough(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t", encoding="utf-8")
    url = server.url.replace("http://", "http://hall:x@")
    with pytest.raises(WrongUse, match="has a user, and there is a token_file; leave one of them out"):
        open_webhook(WebhookSink(type="webhook", url=url, token_file=tmp_path / "token"))
    with pytest.raises(WrongUse, match="write / as %2F") as error:
        open_webhook(WebhookSink(type="webhook", url="http://hall:sl/ash@host/"))
    assert "sl/ash" not in str(error.value)


def test_an_idle_connection_that_the_server_has_closed_is_renewed(server: Server) -> None:
    send = open_webhook(WebhookSink(type="webhook", url=server.url))
    send(EVENT)
    send.__self__._server._connection.sock.shutdown(2)  # type: ignore[attr-defined]
    send(EVENT)
    assert len(server.requests) == 2


def test_letters_in_an_address_are_written_as_http_wants_them(server: Server) -> None:
    base = server.url.partition("/sounds")[0]
    open_webhook(WebhookSink(type="webhook", url=f"{base}/klänge/a%20b?raum=küche"))(EVENT)
    assert server.requests[0][0] == "/kl%C3%A4nge/a%20b?raum=k%C3%BCche"


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "http://[x]/", "http://h:99999/", f"http://{'ä' * 70}/", "http://.a/"]
)
def test_what_is_no_address_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(WrongUse, match=r"sinks.webhook.url: is no address"):
        open_webhook(WebhookSink(type="webhook", url=url))
