"""What comes from afar, read and believed: its form, its signature, whom it is for. Pure but for the key's file."""

import base64
import binascii
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from asit_edge.config.remote import MOST_DOCUMENT, Remote, Wanted
from asit_edge.errors import WrongUse, one_line
from asit_edge.validation import explain

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature is one of these bytes."""


def verifier(file: Path) -> Verify:
    """By the public key in a file. Raises WrongUse where it is none, or nothing here can verify."""
    key = "remote.public_key_file"
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise WrongUse(f"{key}: needs the package cryptography: pip install 'asit-edge[signed]'") from None
    try:
        public = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise WrongUse(f"{key} {file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise WrongUse(f"{key} {file}: is no public key in PEM ({one_line(error)})") from None
    if not isinstance(public, Ed25519PublicKey):
        raise WrongUse(f"{key} {file}: must be of Ed25519 (openssl genpkey -algorithm ed25519)")

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return verify


def read_document(payload: bytes, device: str, verify: Verify | None) -> Wanted | None:
    """What is wanted of this device; None where it is for others.

    With `verify` it has to be signed, `{"document": TEXT, "signature": BASE64}` (of the text's UTF-8), and has to say
    whom it is for. Raises WrongUse, saying what is wrong with it.
    """
    if len(payload) > MOST_DOCUMENT:
        raise WrongUse(f"is larger than {MOST_DOCUMENT >> 10} KiB")
    values = _json(payload)
    if verify:
        values = _json(_signed(values, verify))
    elif "signature" in values:
        raise WrongUse("is signed, and there is no remote.public_key_file to verify it by")
    try:
        wanted = Wanted.model_validate(values)
    except ValidationError as error:
        raise WrongUse(explain(error, Wanted)) from None
    if verify and wanted.devices is None:
        raise WrongUse('must say whom it is for, such as "devices": ["hall"], or ["*"] for all')
    if wanted.devices is not None and not {device, "*"} & set(wanted.devices):
        return None
    return wanted


def checked_model(wanted: Wanted, settings: Remote) -> None:
    """Raises WrongUse where a model is wanted and none may come."""
    if wanted.model and not settings.bundles:
        raise WrongUse("model: no model comes from afar here; remote.bundles says from where one may")


def _signed(values: dict[str, Any], verify: Verify) -> bytes:
    document, signature = values.get("document"), values.get("signature")
    if not isinstance(document, str) or not isinstance(signature, str) or len(values) != 2:
        raise WrongUse('is not signed: it must be {"document": ..., "signature": ...}')
    try:
        signed, proof = document.encode(), base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise WrongUse("signature: is not base64") from None
    if not verify(proof, signed):
        raise WrongUse("signature: is not that of remote.public_key_file")
    return signed


def _json(text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise WrongUse("is not JSON") from None
    if not isinstance(values, dict):
        raise WrongUse("must be a JSON object")
    return values
