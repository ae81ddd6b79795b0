"""Bundles from afar: fetched from the one place that the configuration names, believed by their hashes, tried here.

The hash that is told is that of `bundle.yaml`, and that has those of every file. Nothing is unpacked and nothing run: a
bundle lies there as a folder, file by file, and each has a plain name.
"""

import contextlib
import hashlib
import http.client
import json
import logging
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from asit_edge.config.remote import Remote, WantedModel
from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.host.files import make_folder, owner_only
from asit_edge.model.bundle import MANIFEST, MOST_MANIFEST, load_bundle, read_manifest

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds that a server may take for its answer, and between two parts of it."""

VERIFY_SECONDS = 600.0
"""For the golden scores, on every way that this device has."""

BLOCK = 1 << 16


def fetch_bundle(settings: Remote, wanted: WantedModel, folder: Path) -> Path:
    """Where that bundle lies below `folder`, whole and verified; fetched if it is not there yet. Takes minutes.

    Raises AsitEdgeError, and then nothing of it is left.
    """
    there = folder / wanted.folder
    if there.is_dir():
        if hashlib.sha256((there / MANIFEST).read_bytes()).hexdigest() == wanted.sha256:
            load_bundle(there)
            return there
        shutil.rmtree(there)
    try:
        make_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            fresh = Path(scratch) / wanted.name
            fresh.mkdir(mode=0o700)
            _fetch(settings, wanted, fresh)
            load_bundle(fresh)
            _try_out(fresh)
            fresh.rename(there)
    except OSError as error:
        raise AsitEdgeError(f"model {wanted.name}: cannot be kept in {folder} ({one_line(error)})") from None
    return there


def tidy(folder: Path, kept: Collection[str]) -> None:
    """Removes bundles that nothing goes back to any more, and what was left of broken attempts."""
    with contextlib.suppress(OSError):
        for one in folder.iterdir():
            if one.name not in kept:
                shutil.rmtree(one, ignore_errors=True)


def _fetch(settings: Remote, wanted: WantedModel, fresh: Path) -> None:
    left = round(settings.max_mb * 1e6)
    size, digest = _copy(settings, wanted, MANIFEST, fresh, min(left, MOST_MANIFEST))
    if digest != wanted.sha256:
        raise AsitEdgeError(f"model {wanted.name}: {MANIFEST} is another one than is wanted (SHA-256 {digest[:12]}…)")
    manifest = read_manifest(fresh)
    for name, expected in manifest.files.items():
        left -= size
        size, digest = _copy(settings, wanted, name, fresh, left)
        if digest != expected:
            raise AsitEdgeError(f"model {wanted.name}: {name} is not what {MANIFEST} says (SHA-256 {digest[:12]}…)")


def _copy(settings: Remote, wanted: WantedModel, name: str, fresh: Path, most: int) -> tuple[int, str]:
    """Bytes and SHA-256 of what came."""
    digest, size = hashlib.sha256(), 0
    with _opened(settings, f"{wanted.name}/{name}") as source, open(fresh / name, "xb", opener=owner_only) as target:
        while block := source.read(BLOCK):
            size += len(block)
            if size > most:
                raise AsitEdgeError(f"model {wanted.name}: is larger than remote.max_mb ({settings.max_mb:g})")
            digest.update(block)
            target.write(block)
    return size, digest.hexdigest()


@contextmanager
def _opened(settings: Remote, path: str) -> Iterator[IO[bytes] | http.client.HTTPResponse]:
    place = settings.bundles or ""
    if place.startswith("/"):
        try:
            with (Path(place) / path).open("rb") as file:
                yield file
        except FileNotFoundError:
            raise AsitEdgeError(f"{place}: there is no {path}") from None
        return
    address = urlsplit(place)
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except OSError as error:
        raise AsitEdgeError(f"remote.ca_file {settings.ca_file}: cannot be used ({one_line(error)})") from None
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", quote(f"{address.path.rstrip('/')}/{path}"))
        answer = connection.getresponse()
        if answer.status != http.client.OK:  # also where it sends us elsewhere
            raise AsitEdgeError(f"{address.hostname}: answers {answer.status} {answer.reason} for {path}")
        yield answer
    except (OSError, http.client.HTTPException) as error:
        raise AsitEdgeError(f"{address.hostname}: {path}: {one_line(error) or type(error).__name__}") from None
    finally:
        connection.close()


def _try_out(bundle: Path) -> None:
    """Its golden scores, in a process of its own: what a model does to that one, listening does not feel."""
    words = [sys.executable, "-m", "asit_edge", "model", "verify", "--json", str(bundle)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=VERIFY_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise AsitEdgeError(f"model {bundle.name}: did not score its golden inputs in {VERIFY_SECONDS:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        why = said[-1].removeprefix("asit-edge: error: ") if said else f"verifying it ended with {done.returncode}"
        why += "".join(f"; {one}" for one in _wrong_ways(done.stdout))
        raise AsitEdgeError(f"model {bundle.name}: {why.replace(str(bundle), bundle.name)}")


def _wrong_ways(verdicts: str) -> Iterator[str]:
    for line in verdicts.splitlines():
        with contextlib.suppress(ValueError):
            verdict = json.loads(line)
            if verdict["state"] == "wrong":
                yield f"{verdict['backend']} {verdict['precision']} {verdict['problem'] or 'differs too much'}"
