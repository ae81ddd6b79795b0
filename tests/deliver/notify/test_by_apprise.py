"""Apprise, with its plugin that posts JSON, against a server on this machine."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.config.notifications import AppriseSink
from asit_edge.deliver.notify.notifier import open_notifier
from asit_edge.deliver.sinks.base import Unavailable
from asit_edge.errors import WrongUse
from tests.conftest import require
from tests.deliver.notify.services import Reply, Request, Service
from tests.integration.mosquitto import free_port, wait_for
from tests.store.samples import event

try:
    import apprise
except ImportError:
    apprise = None

SECRETS = ("ann0nymous", "passw0rd", "pathkey99", "hush1234")


class Anything(Service):
    def respond(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture
def server() -> Iterator[Anything]:
    require(apprise is not None, "apprise")
    server = Anything()
    yield server
    server.close()


class Kept(logging.Handler):
    """Whose messages come by."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.names.append(record.name)


def sink(folder: Path, where: str, **more: object) -> AppriseSink:
    url = folder / "url"
    url.write_text(f"json://ann0nymous:passw0rd@{where}/pathkey99?+token=hush1234\n", encoding="utf-8")
    return AppriseSink.model_validate({"type": "apprise", "name": "phone", "url_file": url, **more})


def test_a_note_reaches_the_service_that_the_address_names(server: Anything, tmp_path: Path) -> None:
    where = server.url.removeprefix("http://")
    settings = sink(tmp_path, where, priorities={"Smoke alarm": "urgent", "Rain": "low", "Siren": "high"})
    notifier = open_notifier(settings)
    assert notifier.service.name == "Apprise (json)"
    heard = event().model_copy(update={"label": "Hund 🐕\r\nX: y {{label}}", "clip": "https://hall.local/1.flac"})
    notifier.send(heard.model_copy(update={"onset_epoch": 4e9}).to_json())
    for label in ("Smoke alarm", "Rain", "Siren"):
        notifier.tell(event().model_copy(update={"label": label}))
    bodies = [json.loads(one.body) for one in server.requests]
    assert server.requests[0].path == "/pathkey99"
    assert bodies[0]["title"] == r"Hund 🐕\r\nX: y {{label}}"
    assert bodies[0]["message"].endswith(", score 0.90\nhttps://hall.local/1.flac")
    assert [one["type"] for one in bodies] == ["info", "failure", "info", "warning"]


def test_what_is_not_taken_waits_and_nothing_of_the_address_is_told(
    server: Anything,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "asit_edge")
    root = Kept(logging.DEBUG)
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, root])
    server.replies = [Reply(500)]
    for where, message in (
        (server.url.removeprefix("http://"), r"Apprise \(json\): .*error=500"),
        (f"127.0.0.1:{free_port()}", r"Apprise \(json\): A Connection error"),
    ):
        with pytest.raises(Unavailable, match=message) as problem:
            open_notifier(sink(tmp_path, where)).tell(event())
        assert not any(secret in str(problem.value) for secret in SECRETS)
    out, err = capfd.readouterr()
    assert not any(secret in text for secret in SECRETS for text in (out, err, caplog.text))
    assert not [name for name in root.names if name.startswith("apprise")], "its log goes nowhere else"


class Slow(Service):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def respond(self, request: Request) -> Reply:
        assert self.may.wait(30)
        return Reply(500)


def test_of_two_that_fail_at_once_each_says_what_is_its_own(server: Anything, tmp_path: Path) -> None:
    """They log to the same place, and each takes out the parts of its own address only."""
    slow, said = Slow(), list[str]()
    for one in ("slow", "other"):
        (tmp_path / one).mkdir()
    notifier = open_notifier(sink(tmp_path / "slow", slow.url.removeprefix("http://")))

    def tell() -> None:
        with pytest.raises(Unavailable) as problem:
            notifier.tell(event())
        said.append(str(problem.value))

    telling = threading.Thread(target=tell)
    telling.start()
    wait_for(lambda: slow.requests, 10, "the first is asked")
    server.replies = [Reply(404)]
    with pytest.raises(Unavailable, match="error=404"):
        open_notifier(sink(tmp_path / "other", server.url.removeprefix("http://"))).tell(event())
    slow.may.set()
    telling.join(30)
    slow.close()
    assert "error=500" in said[0]
    assert "error=404" not in said[0]


def test_a_plugin_that_fails_in_an_unforeseen_way_tells_nothing_either(
    server: Anything, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> bool:
        raise RuntimeError(f"no {' '.join(SECRETS)}")

    notifier = open_notifier(sink(tmp_path, "127.0.0.1"))
    monkeypatch.setattr(apprise.Apprise, "notify", fails)
    with pytest.raises(Unavailable, match=r"^Apprise \(json\): fails with RuntimeError$"):
        notifier.tell(event())


def test_what_is_no_address_of_a_service_is_refused_and_not_repeated(
    server: Anything, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("nonsense", "nosuch://s3cretkey", "tgram://s3cretkey", "json://a, json://b"):
        monkeypatch.setenv("PHONE", url)
        with pytest.raises(WrongUse, match="sinks.phone.url: is no address of a service that Apprise knows") as refused:
            open_notifier(AppriseSink.model_validate({"type": "apprise", "name": "phone", "url": "${PHONE}"}))
        assert "s3cret" not in str(refused.value)


def test_without_apprise_it_is_said_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['apprise'] = None\n"
        "from asit_edge.config.notifications import AppriseSink\n"
        "from asit_edge.deliver.notify.notifier import open_notifier\n"
        f"open_notifier(AppriseSink(type='apprise', name='phone', url_file={str(tmp_path / 'url')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "sinks.phone: Apprise is not installed; pip install 'asit-edge[apprise]'" in done.stderr.splitlines()[-1]


def test_nobody_loads_it_who_has_not_asked_for_it() -> None:
    program = (
        "import sys, asit_edge.cli.app, asit_edge.deliver.delivery, asit_edge.deliver.notify.notifier\n"
        "import asit_edge.cli.notifying.notify, asit_edge.listen.run\n"
        "print([name for name in ('apprise', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


PARTS = st.text(
    st.characters(min_codepoint=48, max_codepoint=122, categories=["Nd", "Lu", "Ll"]), min_size=8, max_size=12
)


@given(PARTS, PARTS, PARTS, PARTS)
def test_no_part_of_an_address_is_told(host: str, user: str, path: str, value: str) -> None:
    from asit_edge.deliver.notify.by_apprise import without_parts

    url = f"slack://{user}@{host}/{path}/%20{path}?to={value}"
    said = without_parts(f"failed: {url}; {host} said {user} may not read {path}, {value}", url)
    assert not any(part in said for part in (host, user, path, value))
