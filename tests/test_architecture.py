"""The rooms, their floors and their doors: the device never needs the lab, arrows go down, nothing grows too large."""

import subprocess
import sys
from collections import Counter

import pytest

from tests.architecture import (
    FLOORS,
    PACKAGES,
    ROOT,
    arrows,
    between,
    circles,
    floor,
    folder,
    imported,
    modules,
    room,
    sizes,
)

MOST_MODULES, MODULE_LINES, CLASS_LINES, FUNCTION_LINES = 14, 350, 250, 80

LONG_LOOPS = {"trainer.pretrain.pretrain"}
"""Functions that are one readable loop, which pieces would hide."""

LAB_ONLY = {"torch", "torchaudio", "scipy", "sklearn"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    files = [file for name, file in modules().items() if name.partition(".")[0] == package]
    assert files
    for file in files:
        tops = {name.partition(".")[0] for name in imported(file)}
        assert tops & set(PACKAGES) <= PACKAGES[package], file
        if package == "asit_edge":
            assert not tops & LAB_ONLY, file


def test_the_command_line_never_loads_torch() -> None:
    modules = "asit_edge.cli.app, asit_edge.listen.run, asit_edge.listen.replay, asit_edge.cli.tag, asit_edge.cli.demo"
    code = f"import {modules}, sys; assert 'torch' not in sys.modules, 'torch is loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_module_has_a_room() -> None:
    homeless = [
        name
        for name in modules()
        if name.partition(".")[0] in FLOORS and "." in name and name != "asit_edge.__main__" and not room(name)
    ]
    assert homeless == [], "declare the room in tests/architecture.py"


@pytest.mark.parametrize("package", FLOORS)
def test_arrows_go_down(package: str) -> None:
    upwards = []
    for source, targets in arrows().items():
        if not source.startswith(f"{package}.") or not room(source):
            continue
        for target in targets:
            if not target.startswith(f"{package}.") or not room(target):
                continue
            here, there = room(source), room(target)
            if here != there and floor(package, here) <= floor(package, there):
                upwards.append(f"{source} ({here}) -> {target} ({there})")
    assert upwards == []


def test_commands_of_the_lab_never_import_commands() -> None:
    commands = {name for name in modules() if name.startswith("trainer.") and room(name) == "commands"}
    assert {
        name: targets & commands for name, targets in arrows().items() if name in commands and targets & commands
    } == {}


def test_no_circles_between_files_or_folders() -> None:
    assert circles(arrows()) == []
    # Files beside a package's folders are rooms of their own.
    group = {name: folder(name) if "." in folder(name) else name for name in arrows()}
    assert circles(between(arrows(), group)) == []


def test_an_arrow_up_and_a_circle_are_found() -> None:
    """The tests above can fail."""
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert floor("asit_edge", room("asit_edge.listen.loop")) > floor("asit_edge", room("asit_edge.audio.sources.pcm"))
    assert room("asit_edge.nowhere.module") == ""
    assert "asit_edge.deliver.delivery" in arrows()["asit_edge.listen.run"]


def test_the_pictures_are_what_the_code_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "draw-architecture", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_no_folder_module_class_or_function_grows_too_large() -> None:
    counts = Counter(folder(name) for name, file in modules().items() if file.name != "__init__.py")
    assert {name: count for name, count in counts.items() if count > MOST_MODULES} == {}
    limits = {"class": CLASS_LINES, "function": FUNCTION_LINES}
    large = []
    for module, file in modules().items():
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > MODULE_LINES:
            large.append(f"{module}: {lines} lines")
        large += [
            f"{module}.{name}: {lines} lines"
            for kind, name, lines in sizes(file)
            if lines > limits[kind] and f"{module}.{name}" not in LONG_LOOPS
        ]
    assert large == []
