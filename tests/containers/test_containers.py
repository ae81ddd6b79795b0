"""What containers are made of: every file, user, command and variable in it is there, and means what it says.

The steps themselves are carried out by `scripts/try-dockerfile`, by hand: they take minutes and a network.
"""

import importlib.util
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import typer
import yaml

import asit_edge
from asit_edge.cli.app import app
from asit_edge.config.file import SYSTEM_CONFIG, load_layers
from asit_edge.config.sources import MicrophoneSource, StreamSource
from tests.conftest import ROOT, require_programs
from tests.containers.dockerfile import Stage, read
from tests.integration.mosquitto import free_port, wait_for

ADDON = ROOT / "containers" / "addon" / "asit_edge"

IMAGES = ["Dockerfile", "Dockerfile.jetson"]


class Tagged(yaml.SafeLoader):
    """Compose's `!reset` is what comes after it, here."""


Tagged.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def composed(name: str) -> dict[str, Any]:
    return yaml.load((ROOT / name).read_text(encoding="utf-8"), Tagged)["services"]


def runnable(words: list[str]) -> bool:
    """Whether it is a command of ours that there is."""
    program, *rest = words
    return program == "asit-edge" and rest[0] in typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", IMAGES)
def test_the_image_runs_what_there_is_as_somebody_who_is_no_root(name: str) -> None:
    *_, last = read(ROOT / name)
    runs = " ".join(step.rest for step in last.every("RUN"))
    user = last.last("USER").rest
    assert re.search(rf"useradd --uid 1000 .*--home-dir {last.environment['HOME']} .*\b{user}\b", runs)
    assert last.steps.index(last.last("USER")) > last.steps.index(last.last("RUN"))
    assert runnable([*last.last("ENTRYPOINT").words, *last.last("CMD").words])
    check = last.last("HEALTHCHECK")
    assert runnable(json.loads(check.rest.removeprefix("CMD ")))
    assert float(check.options["timeout"].rstrip("s")) < float(check.options["interval"].rstrip("s"))


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_kept_lies_in_volumes_that_belong_to_the_user(name: str) -> None:
    *_, last = read(ROOT / name)
    kept = last.environment["STATE_DIRECTORY"]
    volumes = [one for step in last.every("VOLUME") for one in step.words]
    assert kept in volumes
    made = re.search(r"install -d -m 700 -o asit-edge -g asit-edge ([^&]+)", " ".join(one.rest for one in last.steps))
    assert made is not None
    assert {*volumes, last.environment["CACHE_DIRECTORY"]} == set(made[1].split())
    paths = last.environment["PATH"].split(":")
    [copied] = last.every("COPY")
    assert paths[0] == f"{copied.words[-1]}/bin"


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_copied_is_there_and_enough_to_build(name: str) -> None:
    first, last = read(ROOT / name)
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = [word for step in first.every("COPY") for word in step.words[:-1]]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in allowed
    # Links of the package lead to what is copied too.
    links = [one for one in (ROOT / "asit_edge").rglob("*") if one.is_symlink()]
    assert {one.resolve().relative_to(ROOT).parts[0] for one in links} <= set(sources)
    assert [step.options for step in last.every("COPY")] == [{"from": first.name}]
    assert {"pyproject.toml", "README.md", "LICENSE", "asit_edge"} <= set(sources)


def test_the_images_differ_in_what_a_jetson_needs_and_in_nothing_else() -> None:
    def lines(stages: list[Stage]) -> set[str]:
        return {f"{step.word} {step.rest}" for stage in stages for step in stage.steps}

    plain, jetson = (read(ROOT / name) for name in IMAGES)
    assert {stage.base for stage in plain} == {"debian:bookworm-slim"}
    assert {stage.base for stage in jetson} == {"nvcr.io/nvidia/l4t-jetpack:r36.4.0"}
    different = [line for line in lines(jetson) ^ lines(plain) if not line.startswith("VOLUME")]
    assert len(different) == 4
    assert all("venv" in line or "useradd" in line for line in different)


def test_the_listener_of_compose_can_do_no_more_than_it_needs() -> None:
    *_, image = read(ROOT / "Dockerfile")
    service = composed("compose.yaml")["asit-edge"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "user"} & set(service)
    mounts = dict(reversed(one.removesuffix(":ro").split(":")) for one in service["volumes"])  # type: ignore[misc]
    assert mounts == {str(SYSTEM_CONFIG): "./config.yaml", image.environment["STATE_DIRECTORY"]: "store"}
    assert "store" in yaml.load((ROOT / "compose.yaml").read_text(encoding="utf-8"), Tagged)["volumes"]


@pytest.mark.parametrize("name", ["compose.yaml", "containers/pulse.yaml", "containers/metrics.yaml"])
def test_variables_of_compose_are_keys_of_the_configuration(name: str) -> None:
    given = composed(name)["asit-edge"]["environment"]
    filled = {key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for key, value in given.items()}
    config = load_layers(ROOT / "config.yaml", filled).config
    if name == "compose.yaml":
        assert (config.device_name, config.mqtt.host) == ("asit-edge", "broker")
        assert "broker" in composed(name)
    elif name == "containers/metrics.yaml":
        assert (config.web.host, config.web.names) == ("0.0.0.0", ["asit-edge"])
        assert str(config.web.token_file) == f"/run/secrets/{composed(name)['asit-edge']['secrets'][0]}"
        assert composed(name)["asit-edge"]["ports"] == [f"127.0.0.1:{config.web.port}:{config.web.port}"]
    else:
        [source] = config.sources
        assert isinstance(source, MicrophoneSource)
        assert source.device == "pulse"
        assert filled["PULSE_SERVER"] == "unix:/run/pulse/native"


@pytest.mark.parametrize("name", ["compose.yaml", "containers/metrics.yaml"])
def test_what_is_mounted_is_there_and_nothing_is_open_to_other_machines(name: str) -> None:
    for service in composed(name).values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert not source.startswith("./") or (ROOT / source).is_file(), source
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_prometheus_asks_the_page_of_the_listener_with_its_token() -> None:
    [job] = yaml.safe_load((ROOT / "containers" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    environment = composed("containers/metrics.yaml")["asit-edge"]["environment"]
    config = load_layers(None, environment).config
    assert job["static_configs"] == [{"targets": [f"{config.web.names[0]}:{config.web.port}"]}]
    assert job["authorization"]["credentials_file"] == str(config.web.token_file)


def test_the_brokers_configuration_is_one_that_mosquitto_takes(tmp_path: Path) -> None:
    require_programs("mosquitto")
    mount = next(one for one in composed("compose.yaml")["broker"]["volumes"] if one.startswith("./"))
    text = (ROOT / mount.split(":")[0]).read_text(encoding="utf-8")
    port, file = free_port(), tmp_path / "mosquitto.conf"
    assert "/mosquitto/data/" in text
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1\nuser root").replace(
        "/mosquitto/data", str(tmp_path)
    )
    file.write_text(text, encoding="utf-8")
    broker = subprocess.Popen(["mosquitto", "-c", str(file)], stderr=subprocess.PIPE, text=True)
    try:
        from asit_edge.mqtt.client import Client

        with Client(host="127.0.0.1", port=port) as client:
            wait_for(lambda: client.subscribed(1), 10, "the broker takes us")
    finally:
        broker.terminate()
        _, said = broker.communicate(timeout=10)
    assert "Error" not in said


def addon() -> dict[str, Any]:
    return yaml.safe_load((ADDON / "config.yaml").read_text(encoding="utf-8"))


def test_the_add_on_has_words_for_every_option_and_the_packages_version() -> None:
    settings = addon()
    assert settings["version"] == asit_edge.__version__
    assert set(settings["options"]) == {
        key for key, kind in settings["schema"].items() if not str(kind).endswith("?")
    } - {"mqtt_password"}
    for file in (ADDON / "translations").iterdir():
        words = yaml.safe_load(file.read_text(encoding="utf-8"))["configuration"]
        assert list(words) == list(settings["schema"]), file
        assert all(one["name"] and one["description"] for one in words.values())
    [stage] = read(ADDON / "Dockerfile")
    for step in stage.every("COPY"):
        assert (ADDON / step.words[0]).exists() or step.words[0] == "asit_edge-*.whl"
    assert stage.last("CMD").words[-1] == stage.every("COPY")[-1].words[-1]
    assert runnable(json.loads(stage.last("HEALTHCHECK").rest.removeprefix("CMD ")))


@pytest.fixture
def starter(tmp_path: Path) -> ModuleType:
    """The add-on's run.py, with its files in a folder of the test."""
    spec = importlib.util.spec_from_file_location("addon_run", ADDON / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(OPTIONS=tmp_path / "options.json", CONFIG=tmp_path / "config.yaml")
    return module


class Supervisor(BaseHTTPRequestHandler):
    """Home Assistant's, as its add-ons meet it."""

    broker: ClassVar = {"host": "core-mosquitto", "port": 1883, "username": "addons", "password": "s3cret"}

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer t0ken" and self.path == "/services/mqtt"
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"result": "ok", "data": self.broker} if known else {"result": "error"}).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def supervisor() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Supervisor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/services/mqtt"
    server.shutdown()
    server.server_close()


def started(starter: ModuleType, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[list[str], dict[str, str]]:
    """What run.py would become."""
    became: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(starter.os, "execvpe", lambda _program, words, environment: became.append((words, environment)))
    starter.OPTIONS.write_text(json.dumps({**addon()["options"], **options}), encoding="utf-8")
    starter.main()
    return became[0]


def test_the_add_on_listens_with_home_assistants_own_broker(
    starter: ModuleType, supervisor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "SERVICE", supervisor)
    monkeypatch.setenv("SUPERVISOR_TOKEN", "t0ken")
    words, environment = started(starter, monkeypatch, labels=["Dog", "Baby cry, infant cry"])
    assert words == ["asit-edge", "listen"]
    config = load_layers(None, environment).config
    assert (config.device, config.mqtt.host, config.mqtt.port) == ("home", "core-mosquitto", 1883)
    assert config.mqtt.username == "addons"
    assert config.events.only == ["Dog", "Baby cry, infant cry"]
    assert environment["ASIT_EDGE_MQTT_PASSWORD"] == "s3cret"
    starter.CONFIG.write_text("store: {keep: 500}\n", encoding="utf-8")
    words, environment = started(starter, monkeypatch)
    assert words == ["asit-edge", "listen", "--config", str(starter.CONFIG)]
    assert load_layers(starter.CONFIG, environment).config.store.keep == 500


def test_the_add_on_with_a_broker_and_a_stream_of_ones_own(
    starter: ModuleType, supervisor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "SERVICE", "http://127.0.0.1:1/")
    url = "rtsp://ann:s3cret@camera.local/x"
    own = {"mqtt_host": "broker", "mqtt_username": "47", "mqtt_password": "s3cret"}
    _, environment = started(starter, monkeypatch, source=url, **own)
    config = load_layers(None, environment).config
    [source] = config.sources
    assert isinstance(source, StreamSource)
    assert environment[source.url.strip("${}")] == url
    assert (config.mqtt.host, config.mqtt.username) == ("broker", "47")


def test_the_add_on_without_a_broker_says_so_and_listens(
    starter: ModuleType, supervisor: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(starter, "SERVICE", supervisor)
    monkeypatch.setenv("SUPERVISOR_TOKEN", "wrong")
    _, environment = started(starter, monkeypatch, source="webcam")
    assert "HTTP 401); is the Mosquitto add-on there?" in capsys.readouterr().err
    config = load_layers(None, environment).config
    assert config.mqtt.host is None
    assert config.sources[0].model_dump()["device"] == "webcam"
