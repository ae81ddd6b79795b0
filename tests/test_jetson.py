"""What a Jetson needs beside a microphone: the unit's drop-in, and the script that looks at a board."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asit_edge.host.delegated import REQUEST
from asit_edge.model.backends.build import asked_in
from asit_edge.model.backends.choice import BUILD_UNIT
from tests.conftest import ROOT, require, require_programs

UNIT = ROOT / "systemd" / "asit-edge.service"
BUILD = ROOT / "systemd" / "asit-edge-build.service"
DROP_IN = ROOT / "systemd" / "asit-edge.service.d" / "jetson.conf"


def verified(folder: Path, more: str = "") -> str:
    """What systemd-analyze has to say of the unit with the drop-in; empty if nothing."""
    unit = UNIT.read_text().replace("/opt/asit-edge/venv/bin/asit-edge listen", "/bin/true")
    (folder / UNIT.name).write_text(unit)
    (folder / DROP_IN.parent.name).mkdir(exist_ok=True)
    (folder / DROP_IN.parent.name / DROP_IN.name).write_text(DROP_IN.read_text() + more)
    return said_of(folder, UNIT.name)[1]


def said_of(folder: Path, unit: str) -> tuple[int, str]:
    """Exit code and words of systemd-analyze about a unit in that folder."""
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", f"./{unit}"],
        cwd=folder,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_unit_with_the_drop_in_is_as_systemd_wants_it(tmp_path: Path) -> None:
    require_programs("systemd-analyze")
    assert verified(tmp_path) == ""
    assert "MemoryMix" in verified(tmp_path, "MemoryMix=1G\n")  # the drop-in is read


def test_the_drop_in_opens_the_gpu_and_nothing_else() -> None:
    lines = [line for line in DROP_IN.read_text().splitlines() if "=" in line and not line.startswith("#")]
    keys = [line.partition("=")[0] for line in lines]
    assert set(keys) == {
        *("SupplementaryGroups", "DeviceAllow", "CacheDirectory", "CacheDirectoryMode"),
        *("Environment", "MemoryMax", "TasksMax", "OOMPolicy"),
    }
    opened = [line.partition("=")[2].split()[0] for line in lines if line.startswith("DeviceAllow")]
    assert all(one == "char-drm" or "nv" in one for one in opened)
    for needed in ("char-nvhost*", "char-nvgpu*", "/dev/nvmap", "/dev/nvhost-ctrl-gpu"):
        assert needed in opened


def test_the_builders_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    require_programs("systemd-analyze")
    shutil.copy(BUILD.with_suffix(".path"), tmp_path)
    text = BUILD.read_text().replace("/opt/asit-edge/bin/python", sys.executable)
    (tmp_path / BUILD.name).write_text(text)
    for name in (BUILD.name, BUILD.with_suffix(".path").name):
        assert said_of(tmp_path, name) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", str(tmp_path / BUILD.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"exposure level for asit-edge-build\.service: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 2.0


def test_the_builder_is_the_listeners_user_with_its_devices_and_a_limit_of_its_own() -> None:
    """Of the same user as the listener's (a unit's dynamic user has its name), at the same cache, where it is asked."""
    builder, drop_in = BUILD.read_text().splitlines(), DROP_IN.read_text().splitlines()
    listener = [*UNIT.read_text().splitlines(), *drop_in]
    for line in (
        "User=asit-edge",
        "DynamicUser=yes",
        "CacheDirectory=asit-edge",
        "MemoryMax=80%",
        "OOMScoreAdjust=1000",
    ):
        assert line in builder
    assert "DynamicUser=yes" in listener
    assert "CacheDirectory=asit-edge" in listener
    assert not any(line.startswith("User=") for line in listener)
    assert f"Environment={BUILD_UNIT}={BUILD.name}" in drop_in
    for key in ("DeviceAllow=char-nv", "DeviceAllow=/dev/", "DeviceAllow=char-drm", "SupplementaryGroups=v"):
        assert [one for one in builder if one.startswith(key)] == [one for one in drop_in if one.startswith(key)] != []
    looked_at = BUILD.with_suffix(".path").read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CACHE_DIRECTORY", "/var/cache/asit-edge")
        assert f"\nPathExists={asked_in() / REQUEST}\n" in looked_at


def test_the_builder_is_the_first_that_the_kernel_ends() -> None:
    told = (
        "from asit_edge.model.backends.build import go_first\n"
        "go_first()\n"
        "print(open('/proc/self/oom_score_adj').read())"
    )
    require(Path("/proc/self/oom_score_adj").exists(), "Linux, which has an order in which processes are ended")
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "1000"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """The files of an Orin Nano with JetPack 6.2, as far as the script looks at them."""
    root = tmp_path / "board"
    for name, content in {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
        "proc/meminfo": "MemTotal: 7802172 kB\nMemAvailable: 5000000 kB\nSwapTotal: 3900000 kB\n",
        "proc/devices": "Character devices:\n 10 misc\n226 drm\n501 nvhost\n505 nvgpu-ctrl\n",
        "etc/systemd/system/asit-edge.service": "",
        "dev/nvmap": "",
        "dev/nvhost-ctrl-gpu": "",
        "dev/nvgpu/igpu0/ctrl": "",
        "dev/dri/renderD128": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def checked(board: Path, **more: str) -> subprocess.CompletedProcess[str]:
    require_programs("bash", "awk", "getent")
    return subprocess.run(
        [ROOT / "scripts" / "check-jetson"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ASIT_EDGE_ROOT": str(board), "PYTHON": sys.executable, **more},
        check=False,
    )


def test_a_board_as_it_should_be_is_found_so(board: Path) -> None:
    lines = checked(board).stdout.splitlines()
    for line in (
        "ok    board: NVIDIA Jetson Orin Nano Developer Kit",
        "ok    L4T: # R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic",
        "look  device groups (systemd's DeviceAllow=char-...): drm nvhost nvgpu-ctrl ",
        "ok    the model gives its golden scores",
        "ok    /etc/systemd/system/asit-edge.service",
    ):
        assert line in lines
    for node in ("/dev/nvmap", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0/ctrl", "/dev/dri/renderD128"):
        assert any(line.startswith("ok ") and line.endswith(f" {node}") for line in lines), node


def test_what_is_wrong_is_named_with_what_to_do(board: Path) -> None:
    (board / "etc/nv_tegra_release").write_text("# R35 (release), REVISION: 5.0\n")
    shutil.rmtree(board / "dev")
    done = checked(board)
    assert done.returncode == 1
    assert "NO    L4T: # R35 (release), REVISION: 5.0\n      -> flash JetPack 6.2 (R36) or 7" in done.stdout
    assert "NO    no device files of a GPU" in done.stdout
    for line, after in zip(done.stdout.splitlines(), done.stdout.splitlines()[1:], strict=False):
        assert not line.startswith("NO") or after.startswith("      -> ")
    assert "Traceback" not in done.stdout + done.stderr


NAMESPACE = """
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9; mkdir /dev/nvgpu /dev/nvgpu/igpu0
for node in nvmap nvhost-ctrl-gpu nvgpu/igpu0/ctrl; do mknod -m 660 /dev/$node c 1 3; chown 0:44 /dev/$node; done
exec setpriv --reuid 65534 --regid 65534 $0 scripts/check-jetson
"""
"""Device files of a GPU that belong to a group, as JetPack makes them, in a mount namespace of its own."""


@pytest.mark.parametrize("member", [True, False])
def test_device_files_are_tried_as_the_user_who_asks(member: bool, tmp_path: Path) -> None:
    require_programs("unshare", "setpriv", "bash")
    require(os.geteuid() == 0, "root, who makes device files")
    groups = ["--groups", "44"] if member else ["--clear-groups"]
    script = NAMESPACE.replace("$0", " ".join(groups))
    command = ["unshare", "--mount", "sh", "-e", "-c", script]
    none = {**os.environ, "PYTHON": str(tmp_path / "none")}
    done = subprocess.run(command, cwd=ROOT, env=none, capture_output=True, text=True, timeout=60, check=False)
    for node in ("/dev/nvmap", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0/ctrl"):
        found = [line for line in done.stdout.splitlines() if node in line and line.startswith(("ok ", "NO "))]
        assert len(found) == 1, done.stdout + done.stderr
        assert found[0].startswith("ok " if member else "NO ")
    assert ("sudo usermod -aG video,render" in done.stdout) is not member


PRINTED, IN_THE_LAB = ("built in ", "asit-edge: "), ("python -m export.bundle ", "python -m bench.damage ")
"""What begins a block that is no command on the board."""


def test_every_command_of_the_page_says_what_it_prints_and_what_to_do_if_not() -> None:
    """From flashing to the service; what nobody has run is marked, and nothing that the tests run is."""
    text = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
    way = text[text.index("## 1. Flash") : text.index("## After an upgrade")]
    parts = re.split(r"(?m)((?:^    .*\n)+)", way)
    commands: list[tuple[str, str]] = []
    for block, after in zip(parts[1::2], parts[2::2], strict=True):
        if block.strip().startswith(PRINTED):
            commands[-1] = (commands[-1][0], commands[-1][1] + after)
        elif not block.strip().startswith(IN_THE_LAB):
            commands.append((block, after))
    assert len(commands) > 15
    for block, after in commands:
        assert re.search(r"\b(prints|ends?)\b", after), block
        assert re.search(r"\b[Ii]f ", after), block
    for only_there in ("nv_tegra_release", "nvpmodel -q", "import tensorrt", "export.trt ~/my-model", "trtexec"):
        assert re.search(rf"(?m)^    .*{re.escape(only_there)}.*†", way), only_there
    for run_here in ("export.variants ~/my-model", "model verify", "model info", "scripts/check-jetson", "pip install"):
        assert re.search(rf"(?m)^    [^†\n]*{re.escape(run_here)}[^†\n]*$", way), run_here
