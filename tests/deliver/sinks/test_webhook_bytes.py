"""What a webhook's server reads, byte for byte: receivers sign and compare it."""

import socket
import threading
from pathlib import Path

from asit_edge import __version__
from asit_edge.config.delivery import WebhookSink
from asit_edge.deliver.sinks.webhook import open_webhook
from tests.deliver.sinks.parts import EVENT


def request_to(url: str, **more: object) -> bytes:
    """What such a sink sends; `PORT` in the address is that of a server that reads one request."""
    read = bytearray()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not read.endswith(EVENT.encode()):
                read.extend(connection.recv(1 << 16))
            connection.sendall(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        open_webhook(WebhookSink.model_validate({"type": "webhook", "url": url.replace("PORT", str(port)), **more}))(
            EVENT
        )
        thread.join(10)
    return bytes(read).replace(f":{port}".encode(), b":PORT")


def test_a_request_is_this_to_the_byte(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    expected = (
        "POST /sounds?from=k%C3%BCche HTTP/1.1\r\n"
        "Host: 127.0.0.1:PORT\r\n"
        "Accept-Encoding: identity\r\n"
        f"Content-Length: {len(EVENT.encode())}\r\n"
        "Content-Type: application/json\r\n"
        f"User-Agent: asit-edge/{__version__}\r\n"
        "Authorization: WHO\r\n"
        "Idempotency-Key: id-7-new-0\r\n"
        "\r\n"
        f"{EVENT}"
    )
    bearer = request_to("http://127.0.0.1:PORT/sounds?from=küche", token_file=token)
    assert bearer.decode() == expected.replace("WHO", "Bearer s3cret")
    basic = request_to("http://hall:x@127.0.0.1:PORT/sounds?from=küche")
    assert basic.decode() == expected.replace("WHO", "Basic aGFsbDp4")
