"""Overlays on disk: what is written comes back, and whatever else lies there is refused in words."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.bundle import load_bundle
from asit_edge.model.key import ModelKey, model_key
from asit_edge.teach.overlay import QualityNote, TakeNote, TaughtSound, arrays_of, as_yaml, read_overlay
from asit_edge.teach.shelf import Shelf
from tests.conftest import require
from tests.teach.teachable import AXES

rng = np.random.default_rng(0)


def directions(count: int) -> np.ndarray:
    found = rng.standard_normal((count, AXES)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def arrays() -> bytes:
    return arrays_of(
        directions(1)[0], {"stream": [directions(9)] * 3, "span": [directions(4)] * 3, "wrong": [directions(2)]}
    )


def sound(name: str, content: bytes, key: ModelKey | None = None) -> TaughtSound:
    note = TakeNote(name="take", content="0" * 64, heard=True, likeness=0.5)
    return TaughtSound(
        name=name,
        model=key or ModelKey(name="teachable", version="1.0", sha256="1" * 64),
        taught="2026-11-30T12:00:00.000Z",
        alarms_per_day=1.0,
        threshold=0.5,
        softness=0.05,
        takes=[note] * 3,
        wrong=1,
        quality=QualityNote(average_precision=1.0, taken_for_it=1, negatives=200),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def test_what_is_put_comes_back_for_its_owner_alone(state: Path) -> None:
    shelf, content = Shelf(), arrays()
    shelf.put(sound("Front doorbell", content), content)
    found = read_overlay(shelf.file("Front doorbell"), AXES)
    assert found.sound.name == "Front doorbell"
    assert [len(part) for part in found.parts["stream"]] == [9, 9, 9]
    assert [len(part) for part in found.parts["wrong"]] == [2]
    assert np.abs(np.linalg.norm(found.direction) - 1) < 1e-6
    assert all(file.stat().st_mode & 0o077 == 0 for file in (state / "taught").iterdir())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_damaged_files_are_refused_in_words_and_never_stop_a_listener(
    tmp_path: Path, teachable: Path, data: st.DataObject
) -> None:
    manifest = load_bundle(teachable).manifest
    shelf, content = Shelf(tmp_path / "shelf"), arrays()
    shelf.put(sound("Bell", content, model_key(manifest)), content)
    chosen = shelf.file("Bell").with_suffix(data.draw(st.sampled_from([".yaml", ".safetensors"])))
    damaged = bytearray(chosen.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    chosen.write_bytes(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    found = list(shelf.overlays(manifest, AXES))
    assert all(len(one.direction) == AXES for one in found)


@pytest.mark.parametrize("wrong", ["axes", "NaN", "no direction", "other takes", "no safetensors"])
def test_arrays_that_do_not_belong_to_the_sound_are_refused_though_their_hash_is_right(state: Path, wrong: str) -> None:
    content = {
        "axes": save({"direction": np.zeros(7, np.float32)}),
        "NaN": arrays_of(np.full(AXES, np.nan, np.float32), {"stream": [directions(2)] * 3}),
        "no direction": save({"stream000": directions(2)}),
        "other takes": arrays_of(directions(1)[0], {"stream": [directions(2)]}),
        "no safetensors": b"\x80\x04K\x01.",
    }[wrong]
    shelf = Shelf()
    shelf.put(sound("Bell", content), content)
    with pytest.raises(AsitEdgeError, match="teach the sound again"):
        read_overlay(shelf.file("Bell"), AXES)


def test_a_sound_of_another_model_is_named_and_not_used(
    teachable: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf, content = Shelf(), arrays()
    shelf.put(sound("Bell", content), content)
    assert list(shelf.overlays(load_bundle(teachable).manifest, AXES)) == []
    assert "'Bell' is of another model" in caplog.text
    with pytest.raises(AsitEdgeError, match="teach it again"):
        shelf.overlay("Bell", load_bundle(teachable).manifest, AXES)


def test_renaming_and_removing_leave_nothing_behind(state: Path) -> None:
    shelf, content = Shelf(), arrays()
    shelf.put(sound("Bell", content), content)
    shelf.put(sound("Gong", content), content)
    with pytest.raises(WrongUse, match="taught already"):
        shelf.rename("Bell", "gong")
    with pytest.raises(WrongUse, match="'Bell'"):
        shelf.rename("Bel", "Chime")
    shelf.rename("Bell", "Chime")
    assert {one.name for one in shelf.sounds()} == {"Chime", "Gong"}
    shelf.remove("Chime")
    shelf.remove("Gong")
    with pytest.raises(WrongUse, match="'Gong': nothing is taught"):
        shelf.remove("Gong")
    assert list((state / "taught").iterdir()) == []


def test_an_exported_sound_is_taken_over_once_by_the_same_model_only(
    teachable: Path, tmp_path: Path, state: Path
) -> None:
    manifest = load_bundle(teachable).manifest
    here, there, content = Shelf(), Shelf(tmp_path / "there"), arrays()
    here.put(sound("Bell", content, model_key(manifest)), content)
    here.put(sound("Foreign", content), content)
    for name in ("Bell", "Foreign"):
        here.export(name, tmp_path / f"{name}.sound")
    assert there.bring_in(tmp_path / "Bell.sound", AXES, manifest, lambda name: None).name == "Bell"
    assert np.array_equal(
        read_overlay(there.file("Bell"), AXES).direction, read_overlay(here.file("Bell"), AXES).direction
    )
    with pytest.raises(WrongUse, match="taught already"):
        there.bring_in(tmp_path / "Bell.sound", AXES, manifest, lambda name: None)
    with pytest.raises(AsitEdgeError, match="teach it again here"):
        there.bring_in(tmp_path / "Foreign.sound", AXES, manifest, lambda name: None)


def test_an_archive_cannot_write_outside_nor_fill_the_memory(teachable: Path, tmp_path: Path, state: Path) -> None:
    manifest, content = load_bundle(teachable).manifest, arrays()
    hostile = tmp_path / "hostile.sound"
    with tarfile.open(hostile, "w:gz") as archive:
        for name, part in (
            ("../../outside.yaml", as_yaml(sound("../../Bell", content, model_key(manifest)))),
            ("/etc/x.safetensors", content),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(part)
            archive.addfile(entry, io.BytesIO(part))
    shelf = Shelf()
    shelf.bring_in(hostile, AXES, manifest, lambda name: None)
    assert [file.name for file in sorted((state / "taught").iterdir())] == ["bell.safetensors", "bell.yaml"]
    bomb = tmp_path / "bomb.sound"
    with tarfile.open(bomb, "w:gz") as archive:
        entry = tarfile.TarInfo("a.yaml")
        entry.size = 1 << 28
        archive.addfile(entry, io.BytesIO(bytes(1 << 28)))
    with pytest.raises(AsitEdgeError, match="no exported sound"):
        shelf.bring_in(bomb, AXES, manifest, lambda name: None)
    with pytest.raises(AsitEdgeError, match="no exported sound"):
        shelf.bring_in(teachable / "model.onnx", AXES, manifest, lambda name: None)
    with pytest.raises(WrongUse, match="no such file"):
        shelf.bring_in(tmp_path / "none", AXES, manifest, lambda name: None)


def test_what_root_teaches_belongs_to_the_service(state: Path) -> None:
    require(os.geteuid() == 0, "root, to give files away")
    state.mkdir(parents=True)
    os.chown(state, 4321, 4321)
    content = arrays()
    Shelf().put(sound("Bell", content), content)
    Shelf().change(sound("Bell", content).model_copy(update={"enabled": False}))
    owners = {one.stat().st_uid for one in [state / "taught", *(state / "taught").iterdir()]}
    assert owners == {4321}
