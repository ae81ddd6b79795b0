"""Bundles from afar: over TLS, from one place, by hash and size, verified; nothing stays of one that is wrong."""

import hashlib
import shutil
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme

from asit_edge.config.remote import Remote, WantedModel
from asit_edge.errors import AsitEdgeError
from asit_edge.remote import bundles
from asit_edge.remote.bundles import fetch_bundle, tidy


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path.startswith("/away/"):
            self.send_response(302)
            self.send_header("Location", self.path.replace("/away", ""))
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def place(tmp_path: Path, tone_bundle: Path) -> Path:
    shutil.copytree(tone_bundle, tmp_path / "place" / "tones")
    return tmp_path / "place"


@pytest.fixture
def server(tmp_path: Path, place: Path) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(place)))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What would have been verified by its golden scores."""
    found: list[Path] = []
    monkeypatch.setattr(bundles, "_try_out", found.append)
    return found


def wanted(place: Path, **more: Any) -> WantedModel:
    sha256 = hashlib.sha256((place / "tones" / "bundle.yaml").read_bytes()).hexdigest()
    return WantedModel.model_validate({"name": "tones", "sha256": sha256} | more)


def test_a_bundle_comes_over_https(tmp_path: Path, place: Path, server: str, tried: list[Path]) -> None:
    settings = Remote(bundles=server, ca_file=tmp_path / "ca.pem")
    there = fetch_bundle(settings, wanted(place), tmp_path / "bundles")
    assert there == tmp_path / "bundles" / wanted(place).folder
    assert {one.name for one in there.iterdir()} == {"bundle.yaml", "model.onnx"}
    assert all(one.stat().st_mode & 0o077 == 0 for one in (there, *there.iterdir()))
    assert len(tried) == 1
    shutil.rmtree(place)
    assert fetch_bundle(settings, WantedModel.model_validate(wanted_like(there)), tmp_path / "bundles") == there
    assert len(tried) == 1, "what is there is not fetched again"
    tidy(tmp_path / "bundles", [])
    assert list((tmp_path / "bundles").iterdir()) == []


def wanted_like(there: Path) -> dict[str, str]:
    return {"name": "tones", "sha256": hashlib.sha256((there / "bundle.yaml").read_bytes()).hexdigest()}


@pytest.mark.parametrize(
    ("settings", "model", "why"),
    [
        ({}, {"sha256": "0" * 64}, "bundle.yaml is another one than is wanted"),
        ({}, {"name": "other"}, "answers 404"),
        ({"max_mb": 0.0001}, {}, "is larger than remote.max_mb"),
        ({"bundles": "/away"}, {}, "answers 302"),
        ({"ca_file": None}, {}, "certificate verify failed"),
        ({"ca_file": Path("/nowhere")}, {}, "remote.ca_file /nowhere: cannot be used"),
    ],
)
def test_what_is_not_what_was_wanted_is_not_kept(
    tmp_path: Path,
    place: Path,
    server: str,
    tried: list[Path],
    settings: dict[str, Any],
    model: dict[str, Any],
    why: str,
) -> None:
    given = {"ca_file": tmp_path / "ca.pem", **settings, "bundles": f"{server}{settings.get('bundles', '')}"}
    with pytest.raises(AsitEdgeError, match=why):
        fetch_bundle(Remote.model_validate(given), wanted(place, **model), tmp_path / "bundles")
    assert tried == []
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_file_that_was_exchanged_is_refused(tmp_path: Path, place: Path, tried: list[Path]) -> None:
    (place / "tones" / "model.onnx").write_bytes(b"another one")
    with pytest.raises(AsitEdgeError, match="model.onnx is not what bundle.yaml says"):
        fetch_bundle(Remote(bundles=str(place)), wanted(place), tmp_path / "bundles")
    assert tried == []


def test_one_that_does_not_score_as_it_should_is_refused(tmp_path: Path, place: Path) -> None:
    with pytest.raises(AsitEdgeError, match="tones: 1 way.* do not give the golden scores; onnxruntime fp32"):
        fetch_bundle(Remote(bundles=str(place)), wanted(place), tmp_path / "bundles")
    assert list((tmp_path / "bundles").iterdir()) == []
