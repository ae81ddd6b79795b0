"""Engines on disk: only a whole plan with the right side-car is ever read; everything else is named."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import AsitEdgeError
from asit_edge.host.directories import default_cache
from asit_edge.model.backends.engine import (
    EngineCache,
    Gpu,
    Key,
    Options,
    Unusable,
    make_side_car,
    read_side_car,
    write_engine,
)
from asit_edge.model.bundle import Manifest, load_bundle
from tests.model.backends.fake_gpu import ORIN

KEY = Key(onnx="a" * 64, tensorrt="10.3.0", gpu=ORIN, options=Options())
PLAN = bytes(range(256)) * 8
VERIFIED = {"error": 0.001, "allowed": 0.02, "label_error": 0.01, "label_allowed": 0.05}


def other_gpu(**change: object) -> dict[str, Gpu]:
    return {"gpu": ORIN.model_copy(update=change)}


@pytest.fixture(scope="module")
def manifest(tone_bundle: Path) -> Manifest:
    return load_bundle(tone_bundle).manifest


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def keep(cache: EngineCache, manifest: Manifest, key: Key = KEY) -> Path:
    return cache.write(manifest, make_side_car(manifest, key, PLAN, VERIFIED), PLAN)


def test_what_was_written_is_read(cache: EngineCache, manifest: Manifest) -> None:
    file = keep(cache, manifest)
    assert cache.read(manifest, KEY) == PLAN
    assert file.read_bytes() == PLAN  # a pure plan: trtexec loads it
    assert file.name.startswith("tones-1.0-fp16-")


def test_an_empty_cache_says_what_it_lacks(cache: EngineCache, manifest: Manifest) -> None:
    with pytest.raises(Unusable, match=r"has no fp16 engine for tones 1\.0"):
        cache.read(manifest, KEY)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tensorrt": "10.16.1"}, "tensorrt is 10.3.0, needed is 10.16.1"),
        (other_gpu(name="Thor"), "gpu is Orin, needed is Thor"),
        (other_gpu(compute_capability="11.0"), "compute_capability is 8.7, needed is 11.0"),
        # The same image on a sibling: an Orin Nano of 8 GB, then one of 4 GB, then in another power mode.
        (other_gpu(multiprocessors=4, memory_gb=4), "multiprocessors is 8, needed is 4; memory_gb is 8, needed is 4"),
        (other_gpu(multiprocessors=6), "multiprocessors is 8, needed is 6"),
        (other_gpu(driver="CUDA 12.6, L4T 36.4.3"), r"driver is CUDA 12.6, L4T 36.4.0, needed is .* L4T 36.4.3"),
        ({"onnx": "b" * 64}, "onnx is a+, needed is b+"),
        ({"options": Options(batch=4, best_batch=4)}, "batch is 1, needed is 4; best_batch is 1, needed is 4"),
        ({"options": Options(workspace_mb=64)}, "workspace_mb is 1024, needed is 64"),
    ],
)
def test_each_differing_field_is_named(
    cache: EngineCache, manifest: Manifest, change: dict[str, Any], named: str
) -> None:
    keep(cache, manifest)
    with pytest.raises(Unusable, match=named):
        cache.read(manifest, KEY.model_copy(update=change))


def test_engines_of_different_keys_live_side_by_side(cache: EngineCache, manifest: Manifest) -> None:
    other = KEY.model_copy(update={"tensorrt": "10.16.1"})
    assert keep(cache, manifest) != keep(cache, manifest, other)
    assert cache.read(manifest, KEY) == cache.read(manifest, other) == PLAN


def test_a_foreign_engine_under_our_name_is_refused(cache: EngineCache, manifest: Manifest) -> None:
    """Somebody copied plan and side-car from another device over ours."""
    foreign = KEY.model_copy(update=other_gpu(name="Thor"))
    write_engine(cache.plan_file(manifest, KEY), make_side_car(manifest, foreign, PLAN, VERIFIED), PLAN)
    with pytest.raises(Unusable, match="gpu is Thor, needed is Orin"):
        cache.read(manifest, KEY)


def test_a_plan_without_side_car_is_refused(cache: EngineCache, manifest: Manifest) -> None:
    keep(cache, manifest).with_suffix(".json").unlink()
    with pytest.raises(Unusable, match="nothing vouches for the engine"):
        cache.read(manifest, KEY)


def test_a_side_car_without_plan_is_refused(cache: EngineCache, manifest: Manifest) -> None:
    keep(cache, manifest).unlink()
    with pytest.raises(Unusable, match="cannot be read"):
        cache.read(manifest, KEY)


@given(cut=st.integers(0, len(PLAN) - 1))
def test_a_truncated_plan_is_refused(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, cut: int) -> None:
    cache = EngineCache(tmp_path_factory.mktemp("engines"))
    keep(cache, manifest).write_bytes(PLAN[:cut])
    with pytest.raises(Unusable, match=f"has {cut} bytes, its side-car says {len(PLAN)}; it is truncated"):
        cache.read(manifest, KEY)


@given(place=st.integers(0, len(PLAN) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_is_refused(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, place: int, bit: int
) -> None:
    cache = EngineCache(tmp_path_factory.mktemp("engines"))
    damaged = bytearray(PLAN)
    damaged[place] ^= 1 << bit
    keep(cache, manifest).write_bytes(damaged)
    with pytest.raises(Unusable, match="damaged or from elsewhere"):
        cache.read(manifest, KEY)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode) | st.just(b"{}") | st.just(b"[]"))
def test_any_other_side_car_is_refused(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, content: bytes
) -> None:
    cache = EngineCache(tmp_path_factory.mktemp("engines"))
    keep(cache, manifest).with_suffix(".json").write_bytes(content)
    with pytest.raises(Unusable, match="not a side-car of this version"):
        cache.read(manifest, KEY)


def test_a_side_car_comes_back_as_it_was(cache: EngineCache, manifest: Manifest) -> None:
    written = make_side_car(manifest, KEY, PLAN, VERIFIED)
    file = cache.write(manifest, written, PLAN)
    assert read_side_car(file.with_suffix(".json")) == written


def test_a_folder_that_cannot_be_written_is_named(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((AsitEdgeError, OSError), match="file"):
        keep(EngineCache(tmp_path / "file"), manifest)


def test_the_cache_is_where_systemd_or_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    assert default_cache() == tmp_path / "asit-edge"
    monkeypatch.setenv("CACHE_DIRECTORY", "/var/cache/asit-edge:/other")
    assert default_cache() == Path("/var/cache/asit-edge")
