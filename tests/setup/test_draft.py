"""What init writes says what was answered, has comments, and no secret where others read."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.assembly import open_source
from asit_edge.config.file import SYSTEM_CONFIG, load_config
from asit_edge.config.sources import StreamSource
from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.setup import draft, writing
from asit_edge.setup.answers import Answers
from asit_edge.setup.draft import drafted
from asit_edge.setup.writing import writable, write


def written(answers: Answers, path: Path) -> dict[str, int]:
    """Names of the files and their modes."""
    files = drafted(answers, path)
    write(files)
    assert files[-1].path == path
    return {file.path.name: file.path.stat().st_mode & 0o777 for file in files}


def test_nothing_but_defaults_is_a_file_for_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.yaml"
    assert written(Answers(), path) == {"config.yaml": 0o644}
    assert [source.name for source in load_config(path).sources] == ["microphone"]


def test_every_answer_is_in_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    answers = Answers(
        device="hall",
        source={"type": "microphone", "name": "microphone", "device": "C270: USB (hw:1,0)", "channel": 2},
        mqtt={"host": "broker", "port": 8883, "username": "0047", "tls": {"enabled": True}},
        mqtt_password='"\\s3cret $x',
        labels=["Dog", "Baby cry, infant cry", "No"],
    )
    assert written(answers, path) == {"mqtt-password": 0o600, "config.yaml": 0o600}
    config = load_config(path)
    assert config.device == "hall"
    assert config.sources[0].model_dump()["device"] == "C270: USB (hw:1,0)"
    assert (config.mqtt.host, config.mqtt.username, config.mqtt.tls.enabled) == ("broker", "0047", True)
    assert config.mqtt.password() == '"\\s3cret $x'
    assert config.events.only == ["Dog", "Baby cry, infant cry", "No"]
    text = path.read_text(encoding="utf-8")
    assert "s3cret" not in text
    assert text.count("\n# ") == 4  # a word to each section


def test_the_password_of_a_stream_goes_to_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    url = "rtsp://ann:s3%40cret@cam.local/x?token=t0ken"
    assert written(Answers(source={"type": "stream", "name": "yard", "url": url}), path) == {
        "yard-password": 0o600,
        "config.yaml": 0o600,
    }
    [source] = load_config(path).sources
    assert isinstance(source, StreamSource)
    assert source.url == "rtsp://ann@cam.local/x?token=t0ken"
    assert (tmp_path / "yard-password").read_text(encoding="utf-8") == "s3@cret\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "etc" / "asit-edge" / "config.yaml"
    monkeypatch.setattr(draft, "SYSTEM_CONFIG", path)
    monkeypatch.setattr(writing, "SYSTEM_CONFIG", path)
    return path


def variable(file: Path, name: str) -> str:
    """As a shell reads the file, which is how systemd does where values are in double quotes."""
    command = ["sh", "-c", f'. "{file}"; printf %s "${name}"']
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_the_systems_secrets_are_where_systemd_reads_them(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "rtsp://ann:s3%40cret@cam.local/x?token=t0ken"
    password = 'it\'s "$HOME" \\ `id`'
    answers = Answers(
        source={"type": "stream", "name": "yard", "url": url},
        mqtt={"host": "b", "username": "a"},
        mqtt_password=password,
    )
    environment = system.with_name("environment")
    environment.parent.mkdir(parents=True)
    environment.write_text("OTHER=1\nASIT_EDGE_MQTT_PASSWORD=old\n", encoding="utf-8")
    assert written(answers, system) == {"environment": 0o600, "config.yaml": 0o644}
    text = system.read_text(encoding="utf-8")
    assert "s3" not in text
    assert "t0ken" not in text
    lines = environment.read_text(encoding="utf-8").splitlines()
    assert [line.partition("=")[0] for line in lines] == ["OTHER", "ASIT_EDGE_MQTT_PASSWORD", "ASIT_EDGE_STREAM_URL"]
    assert variable(environment, "ASIT_EDGE_MQTT_PASSWORD") == password
    for name in ("ASIT_EDGE_MQTT_PASSWORD", "ASIT_EDGE_STREAM_URL"):
        monkeypatch.setenv(name, variable(environment, name))
    config = load_config(system)
    assert config.mqtt.password() == password
    assert open_source(config.sources[0], 16_000).name == "yard"


def test_the_systems_folder_can_be_gone_through_by_the_service(system: Path) -> None:
    written(Answers(), system)
    assert system.parent.stat().st_mode & 0o777 == 0o755
    assert Path("/etc/asit-edge/config.yaml") == SYSTEM_CONFIG


def test_what_is_no_configuration_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="device: must be 1 to 64 letters"):
        drafted(Answers(device="the hall"), tmp_path / "config.yaml")


def test_where_nothing_can_be_written_that_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(AsitEdgeError, match=r"config.yaml: cannot be written by this user; run it with sudo"):
        writable(tmp_path / "a" / "config.yaml")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)


@given(device=TEXT, username=TEXT, labels=st.lists(TEXT, min_size=1, max_size=3))
def test_any_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, device: str, username: str, labels: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "drafted.yaml"
    source = {"type": "microphone", "name": "microphone", "device": device}
    write(drafted(Answers(source=source, mqtt={"host": "b", "username": username}, labels=labels), path))
    config = load_config(path)
    assert config.sources[0].model_dump()["device"] == device
    assert (config.mqtt.username, config.events.only) == (username, labels)
