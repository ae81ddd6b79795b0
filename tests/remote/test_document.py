"""What comes from afar is read, believed and for us, or refused with why."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from asit_edge.errors import WrongUse
from asit_edge.remote.document import Verify, read_document, verifier

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    file = tmp_path / "fleet.pub"
    file.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return verifier(file)


def signed(text: str, by: Ed25519PrivateKey = KEY) -> bytes:
    return json.dumps({"document": text, "signature": base64.b64encode(by.sign(text.encode())).decode()}).encode()


def test_what_is_signed_for_us_is_taken(verify: Verify) -> None:
    for devices in (["hall", "attic"], ["*"]):
        text = json.dumps({"schema": 1, "serial": 3, "devices": devices, "config": {"events": {"only": ["Straße"]}}})
        wanted = read_document(signed(text), "hall", verify)
        assert wanted is not None
        assert (wanted.serial, wanted.config) == (3, {"events": {"only": ["Straße"]}})
    assert read_document(signed('{"schema": 1, "serial": 3, "devices": ["attic"]}'), "hall", verify) is None


FOR_US = '{"schema": 1, "serial": 3, "devices": ["hall"]}'


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (FOR_US.encode(), "is not signed"),
        (signed(FOR_US, Ed25519PrivateKey.generate()), "is not that of remote.public_key_file"),
        (signed(FOR_US).replace(b"hall", b"yard"), "is not that of remote.public_key_file"),
        (signed('{"schema": 1, "serial": 3}'), "must say whom it is for"),
        (json.dumps({"document": FOR_US, "signature": "§"}).encode(), "is not base64"),
        (json.dumps({"document": FOR_US, "signature": "", "serial": 1}).encode(), "is not signed"),
        (b"x" * 70_000, "is larger than 64 KiB"),
        (b"[" * 60_000, "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "is not JSON"),
    ],
)
def test_what_is_not_is_refused(verify: Verify, payload: bytes, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        read_document(payload, "hall", verify)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 1}', "key 'serial' is missing"),
        ('{"schema": 2, "serial": 1}', "schema"),
        ('{"schema": 1, "serial": 0}', "serial"),
        ('{"schema": 1, "serial": 1, "confg": {}}', "did you mean 'config'"),
        ('{"schema": 1, "serial": 1, "model": {"name": "../x", "sha256": "' + "0" * 64 + '"}}', "model.name"),
        ('{"schema": 1, "serial": 1, "model": {"name": "x", "sha256": "0"}}', "model.sha256"),
        (signed(FOR_US).decode(), "there is no remote.public_key_file"),
    ],
)
def test_without_a_key_its_form_counts(text: str, why: str) -> None:
    with pytest.raises(WrongUse, match=why):
        read_document(text.encode(), "hall", None)


def test_a_key_that_is_none_is_said(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(WrongUse, match="cannot be read"):
        verifier(file)
    file.write_text("no key")
    with pytest.raises(WrongUse, match="is no public key in PEM"):
        verifier(file)
    other = generate_private_key(SECP256R1()).public_key()
    file.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(WrongUse, match="must be of Ed25519"):
        verifier(file)
