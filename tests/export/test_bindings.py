"""Our calls against the real bindings of TensorRT from JetPack 6 to 11, without its libraries or a GPU.

The wheels with the bindings are small; what they link to is many hundred MB. A stub that only has the right names
lets them load, and then every class and method can be looked at.
"""

import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT, require

VERSIONS = {
    "10.3.0": "tensorrt-cu12-bindings",  # JetPack 6.1, 6.2
    "10.7.0": "tensorrt-cu12-bindings",  # an upgrade of JetPack 6's
    "10.13.3.9": "tensorrt-cu13-bindings",  # JetPack 7.0, 7.1
    "10.16.1.11": "tensorrt-cu13-bindings",  # JetPack 7.2
    "11.4.0.106": "tensorrt-cu13-bindings",  # JetPack 7.2.2 and later
}

LIBRARIES = ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin")

SYMBOLS = (
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
    *("createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getNvOnnxParserVersion"),
    *("getBuilderPluginRegistry", "getPluginRegistry", "initLibNvInferPlugins"),
)

CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
import tensorrt_bindings as module
from export.trt_api import missing
print(module.__version__)
try:
    module.Builder(module.Logger())
except TypeError as error:
    print(error)
print(*missing(module), sep="\\n", end="")
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a version, with its bindings."""
    require(shutil.which("cc") is not None, "a C compiler (cc)")
    require(platform.machine() == "x86_64" and sys.platform == "linux", "x86-64 Linux, for which the wheels are")
    folder = tmp_path_factory.mktemp("bindings")

    def fetch(version: str) -> bool:
        target = folder / version
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--target", str(target), f"{VERSIONS[version]}=={version}"]
        return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0

    with ThreadPoolExecutor(len(VERSIONS)) as pool:
        fetched = dict(zip(VERSIONS, pool.map(fetch, VERSIONS), strict=True))
    published = [
        version for version in VERSIONS if sys.version_info < (3, 13) or not version.startswith(("10.3", "10.7."))
    ]
    require(all(fetched[version] for version in published), "a package index with TensorRT's bindings")
    source = folder / "stub.c"
    source.write_text("\n".join(f"void *{symbol}(void) {{ return 0; }}" for symbol in SYMBOLS))
    for version in VERSIONS:
        stubs = folder / version / "stubs"
        stubs.mkdir(parents=True, exist_ok=True)
        for library in LIBRARIES:
            name = f"{library}.so.{version.partition('.')[0]}"
            command = ["cc", "-shared", "-fPIC", str(source), "-o", str(stubs / name), f"-Wl,-soname,{name}"]
            subprocess.run(command, check=True, timeout=60)
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_every_call_of_ours_is_there(wheels: Path, version: str) -> None:
    if not (wheels / version / "tensorrt_bindings").is_dir():
        pytest.skip(f"TensorRT {version} was never published for Python 3.{sys.version_info.minor}")
    result = subprocess.run(
        [sys.executable, "-c", CHECK, str(wheels / version)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        env={"LD_LIBRARY_PATH": str(wheels / version / "stubs"), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    found, problem, *lacking = result.stdout.split("\n")
    assert result.returncode == 0, result.stderr
    assert found.startswith(version.rpartition(".post")[0] or version[:6])
    assert problem == "pybind11::init(): factory function returned nullptr"  # what `build` takes for "no GPU"
    assert [line for line in lacking if line] == []
