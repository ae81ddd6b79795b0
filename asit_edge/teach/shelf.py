"""All taught sounds of this device: a folder of overlays in the state directory, which any command may look into.

Nothing here can stop a listener: an overlay of another model, or a damaged one, is passed over and named.
"""

import logging
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.host.directories import state_directory
from asit_edge.host.files import hand_over, write_whole
from asit_edge.labels import slug
from asit_edge.model.bundle import BundleLabel, Manifest
from asit_edge.model.key import model_key
from asit_edge.teach.overlay import (
    MOST_BYTES,
    Overlay,
    TaughtSound,
    as_yaml,
    parse_overlay,
    parse_sound,
    read_overlay,
    read_sound,
    write_overlay,
)
from asit_edge.validation import nearest

log = logging.getLogger(__name__)

MOST = 200
"""Taught sounds that are used at most."""

Stamp = tuple[tuple[str, int, int], ...]
"""Of every file: its name, when it was written, its length. What has not changed is not read again."""


class Shelf:
    """The folder `taught` of the state directory, or another."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises WrongUse where there is no place for a state directory."""
        self.folder = folder or state_directory() / "taught"

    def stamp(self) -> Stamp:
        """Another value means that something has changed."""
        found = []
        for file in self._files():
            try:
                status = file.stat()
            except OSError:
                continue
            found.append((file.name, status.st_mtime_ns, status.st_size))
        return tuple(found)

    def sounds(self) -> Iterator[TaughtSound]:
        """All that can be read, of whatever model, by name; the others are logged."""
        for file in self._files():
            try:
                yield read_sound(file)
            except AsitEdgeError as error:
                log.warning("%s", error)

    def overlays(self, manifest: Manifest, axes: int) -> Iterator[Overlay]:
        """Those of this model that are switched on and can be used; of the others it is logged why not."""
        key, used = model_key(manifest), 0
        taken = {slug(label.name) for label in manifest.labels}
        for sound in self.sounds():
            if sound.model.sha256 != key.sha256:
                log.warning(
                    "taught sound %r is of another model (%s %s), not of %s %s: it is not used; teach it again",
                    *(sound.name, sound.model.name, sound.model.version, key.name, key.version),
                )
            elif sound.enabled and sound.slug in taken:
                log.warning("taught sound %r: the model itself has that label now; it is not used", sound.name)
            elif sound.enabled and used == MOST:
                log.warning("taught sound %r: more than %d are not used", sound.name, MOST)
            elif sound.enabled:
                try:
                    yield read_overlay(self.file(sound.name), axes)
                    used += 1
                except AsitEdgeError as error:
                    log.warning("%s", error)

    def labels(self, manifest: Manifest) -> list[BundleLabel]:
        """Of this model's sounds that are switched on and labels of their own."""
        key, taken = model_key(manifest), {slug(label.name) for label in manifest.labels}
        return [
            sound.label
            for sound in self.sounds()
            if sound.enabled and sound.corrects is None and sound.model.sha256 == key.sha256 and sound.slug not in taken
        ]

    def file(self, name: str) -> Path:
        return self.folder / f"{slug(name)}.yaml"

    def find(self, name: str) -> TaughtSound:
        """Raises WrongUse, with the nearest name, if there is none."""
        if not self.file(name).is_file():
            known = [sound.name for sound in self.sounds()]
            raise WrongUse(f"no taught sound {name!r}{nearest(name, known) if known else ': nothing is taught'}")
        return read_sound(self.file(name))

    def knows(self, name: str) -> bool:
        return self.file(name).is_file()

    def put(self, sound: TaughtSound, arrays: bytes) -> None:
        """Raises AsitEdgeError where it cannot be written."""
        write_overlay(self.folder, sound, arrays)

    def change(self, sound: TaughtSound) -> None:
        """Writes what is said of a sound, whose arrays stay."""
        write_whole(self.file(sound.name), as_yaml(sound))
        hand_over(self.file(sound.name), self.folder.parent)

    def rename(self, name: str, new: str) -> TaughtSound:
        """Raises WrongUse where there is no such sound, or another has that name."""
        sound = self.find(name)
        renamed = sound.model_copy(update={"name": new})
        if renamed.slug != sound.slug and self.knows(new):
            raise WrongUse(f"{new!r} is taught already; remove that one first: asit-edge taught remove {new!r}")
        arrays = self.file(name).with_suffix(".safetensors").read_bytes()
        self.put(renamed, arrays)
        if renamed.slug != sound.slug:
            self.remove(name)
        return renamed

    def remove(self, name: str) -> None:
        """Raises WrongUse where there is no such sound."""
        file = self.file(name)
        if not file.is_file():
            self.find(name)
        file.unlink(missing_ok=True)
        file.with_suffix(".safetensors").unlink(missing_ok=True)

    def export(self, name: str, out: Path) -> None:
        """One file for another device with the same model. Raises WrongUse or AsitEdgeError."""
        sound = self.find(name)
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for suffix in (".yaml", ".safetensors"):
                content = self.file(name).with_suffix(suffix).read_bytes()
                entry = tarfile.TarInfo(sound.slug + suffix)
                entry.size, entry.mode = len(content), 0o600
                archive.addfile(entry, BytesIO(content))
        write_whole(out, packed.getvalue())

    def overlay(self, name: str, manifest: Manifest, axes: int) -> Overlay:
        """That of a sound. Raises WrongUse where there is none, AsitEdgeError if it is damaged or of another model."""
        sound, key = self.find(name), model_key(manifest)
        if sound.model.sha256 != key.sha256:
            raise AsitEdgeError(
                f"{name!r} was taught to {sound.model.name} {sound.model.version}, not to {key.name} {key.version}; "
                f"forget it (asit-edge taught remove {name!r}) and teach it again"
            )
        return read_overlay(self.file(name), axes)

    def bring_in(self, file: Path, axes: int, manifest: Manifest, check: Callable[[str], None]) -> TaughtSound:
        """An exported sound whose name passes `check`. Raises WrongUse or AsitEdgeError where it is none, of another
        model, or known already."""
        sound, arrays = _unpacked(file)
        check(sound.name)
        key = model_key(manifest)
        if sound.model.sha256 != key.sha256:
            raise AsitEdgeError(
                f"{file}: {sound.name!r} was taught to {sound.model.name} {sound.model.version}, and this device uses "
                f"{key.name} {key.version}; teach it again here, or choose that model"
            )
        if self.knows(sound.name):
            raise WrongUse(f"{sound.name!r} is taught already; remove it first: asit-edge taught remove {sound.name!r}")
        parse_overlay(sound, arrays, file, axes)
        self.put(sound, arrays)
        return sound

    def _files(self) -> list[Path]:
        try:
            return sorted(self.folder.glob("*.yaml"))
        except OSError:
            return []


def _unpacked(file: Path) -> tuple[TaughtSound, bytes]:
    """Only the two files that belong into it are read, and only so far."""
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(file, "r:gz") as archive:
            for _ in range(2):
                entry = archive.next()
                opened = archive.extractfile(entry) if entry is not None and entry.isfile() else None
                if entry is None or opened is None or entry.size > MOST_BYTES:
                    break
                contents[Path(entry.name).suffix] = opened.read(MOST_BYTES)
    except FileNotFoundError:
        raise WrongUse(f"{file}: no such file") from None
    except (OSError, tarfile.TarError, EOFError) as error:
        raise AsitEdgeError(f"{file}: is no exported sound ({error})") from None
    if set(contents) != {".yaml", ".safetensors"}:
        raise AsitEdgeError(f"{file}: is no exported sound; make one with asit-edge taught export NAME FILE")
    return parse_sound(contents[".yaml"], file), contents[".safetensors"]
