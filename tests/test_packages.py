"""The packages that are given away: they carry what a device needs, take no name at the top but their own, and work."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

BUILT_FROM = ("asit_edge", "trainer", "export", "systemd", "config.yaml", "pyproject.toml", "README.md", "LICENSE")
"""More than goes in: what is left out is left out on purpose."""

BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def built(kind: str, tree: Path, folder: Path) -> Path:
    """Of a tree; in a process of its own, as pip does."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and a source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("packages")
    tree = folder / "tree"
    tree.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tree / name)
    return built("wheel", tree, folder), built("sdist", tree, folder)


def names(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_wheel_has_all_of_the_package_and_no_other_name_at_the_top(packages: tuple[Path, Path]) -> None:
    found = names(packages[0])
    assert {name.partition("/")[0] for name in found} == {"asit_edge"}
    files = subprocess.run(
        ["find", "-L", "asit_edge", "-type", "f", "-not", "-path", "*/__pycache__/*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found == set(files.stdout.splitlines())
    for needed in ("config/config.yaml", "service/units/asit-edge.service", "recordings/demo.flac"):
        assert f"asit_edge/{needed}" in found


def test_a_wheel_made_of_the_source_distribution_is_the_same(packages: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, source = packages
    with tarfile.open(source) as archive:
        assert not [one.name for one in archive.getmembers() if one.issym() or one.islnk()]
        archive.extractall(tmp_path, filter="data")
    [tree] = tmp_path.iterdir()
    assert names(built("wheel", tree, tmp_path)) == names(wheel)


def test_what_is_installed_works_far_from_the_checkout(packages: tuple[Path, Path], tmp_path: Path) -> None:
    site, home = tmp_path / "site", tmp_path / "home"
    zipfile.ZipFile(packages[0]).extractall(site)
    home.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "HOME": str(home)}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(sys.executable, "-c", "import asit_edge; print(asit_edge.__file__)").startswith(str(site))
    program = (sys.executable, "-m", "asit_edge")
    assert run(*program, "config", "example") == (ROOT / "config.yaml").read_text(encoding="utf-8")
    assert "asit-edge.service" in run(*program, "service", "install", "--user", "--dry-run")
    assert '"label"' in run(*program, "replay", str(site / "asit_edge" / "recordings" / "demo.flac"), "--json")
    assert run(*program, "init", "--config", "config.yaml", "--no-check", "--yes").startswith("wrote ")
    assert run(*program, "config", "check", "--config", "config.yaml").endswith("config.yaml: can be used\n")
