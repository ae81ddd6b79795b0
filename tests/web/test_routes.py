"""What the page asks for, and gets."""

import base64
import csv
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asit_edge.clips.shelf import ClipShelf
from asit_edge.errors import AsitEdgeError
from asit_edge.live.columns import BANDS
from asit_edge.mqtt.commands import Command
from asit_edge.store.store import Store
from asit_edge.web.answers import MOST_BODY
from asit_edge.web.parts import Parts
from tests.conftest import tones
from tests.live.pictures import heard, status
from tests.store.samples import TO_MQTT
from tests.web.conftest import Client

PATH = "/api/sources/kitchen/commands"
ODD = 'Dog"\r\nSet-Cookie: x=1\r\n\r\n<img src=x onerror=alert(1)>=1+1'


def test_the_state_has_all_that_the_page_shows(client: Client) -> None:
    state = client().get("/api/state").json()
    assert state["device"] == "hall"
    assert [one["name"] for one in state["sources"]] == ["kitchen", "garden"]
    assert state["waiting"] == {"mqtt": 4}
    assert state["delivery"] == {"problem": "", "dropped": 0, "refused": 0}
    assert state["can"] == {"correct": False, "clips": False, "leave": False}
    assert state["about"] == {"backend": "none"}


def test_without_a_store_the_rest_is_shown(client: Client, tmp_path: Path) -> None:
    page = client(store=tmp_path / "absent.db")
    assert page.get("/api/state").json()["waiting"] == {}
    answer = page.get("/api/events")
    assert answer.status_code == 409
    assert "no such file" in answer.json()["error"]


def test_labels_with_their_thresholds(client: Client) -> None:
    low, high = client().get("/api/labels").json()["labels"]
    assert (low["name"], low["thresholds"]) == ("Low tone", {"kitchen": 0.5, "garden": 0.5})
    assert high["name"] == "High tone"


def test_events_page_by_page_and_filtered(client: Client) -> None:
    page = client()
    first = page.get("/api/events?limit=2").json()
    assert [(one["id"], one["type"]) for one in first["events"]] == [("id-2", "new"), ("id-1", "new")]
    second = page.get(f"/api/events?limit=2&before={first['next']}").json()
    assert [(one["id"], one["type"]) for one in second["events"]] == [("id-0", "end")]
    assert page.get("/api/events?label=High%20tone").json()["events"][0]["id"] == "id-1"
    assert page.get("/api/events?source=garden").json()["events"][0]["id"] == "id-2"
    assert page.get("/api/events?since=99999999999").json() == {"events": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1e9", "since=abc", "since=nan", "before=-1", "until=inf"])
def test_a_query_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    answer = client().get(f"/api/events?{query}")
    assert answer.status_code == 400
    assert "must be a number" in answer.json()["error"]


def test_history_counts_by_label_and_half_hour(client: Client, parts: Parts) -> None:
    page = client()
    assert page.get("/api/history?days=7").json()["counts"] == [], "what was heard is years old or to come"
    now = heard(9).model_copy(update={"onset_epoch": time.time() - 60})
    store = Store(parts.store, sinks=TO_MQTT)
    store.commit([now], "kitchen/event")
    store.close()
    told = page.get("/api/history?days=1").json()
    assert [(label, count) for label, _, count in told["counts"]] == [("Low tone", 1)]
    assert page.get("/api/history?days=30").status_code == 400


def odd_store(path: Path) -> None:
    store = Store(path, sinks=TO_MQTT)
    odd = heard(7, label=ODD).model_copy(update={"label_id": "x"})
    store.commit([odd, heard(8, label="=HYPERLINK(1)")], "kitchen/event")
    store.close()


def test_labels_that_somebody_made_up_stay_texts(client: Client, parts: Parts) -> None:
    odd_store(parts.store)
    page = client()
    answer = page.get("/api/events.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="events.csv"'
    assert "set-cookie" not in answer.headers
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert rows[0]["label"] == "'=HYPERLINK(1)", "a spreadsheet computes nothing"
    assert rows[1]["label"] == ODD
    assert len(rows) == 5
    lines = page.get("/api/events.json?label=" + "x" * 3000)
    assert lines.text == ""
    lines = page.get("/api/events.json")
    assert [json.loads(line)["label"] for line in lines.text.splitlines()][1] == ODD
    assert page.get("/api/events").json()["events"][1]["label"] == ODD
    assert page.get("/api/events.exe").status_code == 404


def test_commands_are_checked_as_over_mqtt(client: Client, parts: Parts) -> None:
    page = client()
    for values, command in (
        ({"command": "listen", "value": False}, Command("kitchen", "listen", None, False)),
        (
            {"command": "threshold", "label": "High tone", "value": 0.25},
            Command("kitchen", "threshold", "High tone", 0.25),
        ),
    ):
        assert page.post(PATH, json=values).status_code == 202
        assert parts.commands.get_nowait() == command
    for values, words in (
        ({"command": "threshold", "label": "High tone", "value": 2}, "a number between 0 and 1"),
        ({"command": "threshold", "label": "High tone", "value": True}, "a number between 0 and 1"),
        ({"command": "threshold", "label": "High tone", "value": None}, "a number between 0 and 1"),
        ({"command": "threshold", "label": "Dog", "value": 0.5}, "no label 'Dog' is reported"),
        ({"command": "threshold", "label": 5, "value": 0.5}, "label must be a text"),
        ({"command": "listen", "value": "maybe"}, "ON or OFF"),
        ({"command": "explode"}, "no command 'explode'"),
        ({"command": ["listen"]}, "command must be a text"),
        ({}, "command must be a text"),
    ):
        answer = page.post(PATH, json=values)
        assert answer.status_code == 400
        assert words in answer.json()["error"]
    assert page.post("/api/sources/cellar/commands", json={"command": "listen", "value": True}).status_code == 400
    assert parts.commands.empty()


def test_a_flood_of_commands_is_not_obeyed(client: Client, parts: Parts) -> None:
    page = client()
    began = time.monotonic()
    answers = [page.post(PATH, json={"command": "listen", "value": True}).status_code for _ in range(400)]
    assert parts.commands.qsize() <= 201 + 10 * (time.monotonic() - began)
    assert answers.count(202) == parts.commands.qsize()
    assert answers.count(429) == 400 - parts.commands.qsize() > 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"command": "listen", "value": ' + b"9" * 5_000 + b"}",
        b'{"command": NaN}',
    ],
)
def test_a_malformed_body_is_refused(client: Client, parts: Parts, body: bytes) -> None:
    answer = client().post(PATH, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert parts.commands.empty()


def test_a_huge_body_is_refused(client: Client) -> None:
    answer = client().post(PATH, content=b" " * (MOST_BODY + 1), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.sampled_from(["command", "label", "value", "at", "token", "seconds", "source"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=4,
        ),
    ),
    path=st.sampled_from([PATH, "/api/missed", "/api/session", "/api/events/id-0/wrong"]),
)
def test_any_object_is_obeyed_or_refused(client: Client, values: dict[str, object], path: str) -> None:
    content = json.dumps(values)
    answer = client().post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 202, 400, 403, 404, 409)
    assert "error" in answer.json() or answer.status_code in (200, 202)


class Amended:
    """Takes down what it was asked for."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.asked: list[tuple[object, ...]] = []

    def __call__(self, label: str, kind: str, what: str, begin: float, end: float, source: str | None) -> str:
        self.asked.append((label, kind, what, begin, end, source))
        if self.problem:
            raise AsitEdgeError(self.problem)
        return "done"


def test_wrong_is_about_the_event_as_it_is_stored(client: Client) -> None:
    amend = Amended()
    page = client(amend=amend)
    assert page.post("/api/events/id-0/wrong", json={}).json() == {"said": "done"}
    begin = 1767225600.0
    assert amend.asked == [("Low tone", "wrong", "event id-0", begin, begin + 0.3, "kitchen")]
    assert page.post("/api/events/id-9/wrong", json={}).status_code == 404


def test_missed_is_about_a_time(client: Client) -> None:
    amend = Amended()
    page = client(amend=amend)
    told = {"label": "High tone", "at": 1767225600, "seconds": 3, "source": "garden"}
    assert page.post("/api/missed", json=told).status_code == 200
    assert amend.asked[0][:2] == ("High tone", "missed")
    assert amend.asked[0][3:] == (1767225600.0, 1767225603.0, "garden")
    for wrong in ({"at": 1e12}, {"at": "now"}, {"seconds": 0}, {"seconds": 1e9}, {"label": ""}, {"source": 5}):
        assert page.post("/api/missed", json={**told, **wrong}).status_code == 400
    assert len(amend.asked) == 1


def test_why_nothing_was_corrected_is_said(client: Client) -> None:
    page = client(amend=Amended("nothing is remembered"))
    answer = page.post("/api/events/id-0/wrong", json={})
    assert (answer.status_code, answer.json()["error"]) == (409, "nothing is remembered")
    assert client().post("/api/events/id-0/wrong", json={}).status_code == 409


class Folder:
    """A shelf of one clip."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def find(self, event_id: str) -> Path | None:
        return self.file if event_id == "id-0" else None

    def at(self, name: str) -> Path | None:
        return None


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "120000Z_low_tone_id-0.flac"
    soundfile.write(file, tones((500, 3)), 16_000)
    return file


def test_a_clip_is_played_whole_and_in_parts(client: Client, clip: Path) -> None:
    page, content = client(shelf=Folder(clip)), clip.read_bytes()
    whole = page.get("/clips/id-0")
    assert (whole.content, whole.headers["content-type"]) == (content, "audio/flac")
    assert whole.headers["content-disposition"].startswith("inline")
    part = page.get("/clips/id-0", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    assert page.get("/clips/id-0", headers={"range": "bytes=-5"}).content == content[-5:]
    assert page.get("/clips/id-0?download=1").headers["content-disposition"].startswith("attachment")
    assert page.get("/clips/id-1").status_code == 404
    assert client().get("/clips/id-0").status_code == 404, "no clips are kept"


def test_a_clip_is_found_by_the_path_that_messages_give(client: Client, tmp_path: Path) -> None:
    name = "2026-05-01/mic/030012Z_low_tone_1d4fa3b2.flac"
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    soundfile.write(file, tones((500, 1)), 16_000)
    (file.parent / "notes.txt").write_text("private")
    page = client(shelf=ClipShelf(tmp_path))
    assert page.get(f"/clips/{name}").content == file.read_bytes()
    for other in (
        "2026-05-01/mic/notes.txt",
        f"x/%2e%2e/{name}",
        f"{name}/",
        f"/{name}",
        "2026-05-01/mic",
        "2026-05-01/mic/",
    ):
        assert page.get(f"/clips/{other}").status_code == 404
    assert client().get(f"/clips/{name}").status_code == 404, "no clips are kept"


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=", "bytes=-0"])
def test_a_range_that_is_none_is_refused(client: Client, clip: Path, wanted: str) -> None:
    answer = client(shelf=Folder(clip)).get("/clips/id-0", headers={"range": wanted})
    assert answer.status_code in (200, 400, 416)


def test_a_thousand_ranges_cost_no_more_than_the_file(client: Client, clip: Path) -> None:
    many = "bytes=" + ",".join(f"{number}-{number + 5}" for number in range(0, 8_000, 2))
    answer = client(shelf=Folder(clip)).get("/clips/id-0", headers={"range": many[:16_000]})
    assert len(answer.content) < 2 * clip.stat().st_size


def test_a_file_of_any_name_is_sent_under_a_name_that_is_none_of_its_own(client: Client, tmp_path: Path) -> None:
    file = tmp_path / 'a"\r\nX-Evil: 1\r\n\r\nä.flac'
    soundfile.write(tmp_path / "plain.flac", tones((500, 1)), 16_000)
    (tmp_path / "plain.flac").rename(file)
    answer = client(shelf=Folder(file)).get("/clips/id-0")
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers


def test_what_is_no_sound_is_not_served(client: Client, tmp_path: Path) -> None:
    for name in ("secret.txt", "page.html", "clip"):
        (tmp_path / name).write_text("<script>")
        assert client(shelf=Folder(tmp_path / name)).get("/clips/id-0").status_code == 404
    assert client(shelf=Folder(tmp_path / "gone.flac")).get("/clips/id-0").status_code == 404
    (tmp_path / "folder.flac").mkdir()
    assert client(shelf=Folder(tmp_path / "folder.flac")).get("/clips/id-0").status_code == 404


def test_the_picture_of_a_clip(client: Client, clip: Path, tmp_path: Path) -> None:
    told = client(shelf=Folder(clip)).get("/api/events/id-0/spectrogram").json()
    found = np.frombuffer(base64.b64decode(told["data"]), np.uint8).reshape(-1, BANDS)
    assert told["step"] == 0.05
    assert len(found) == 59
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"fLaC" + b"\0" * 100)
    answer = client(shelf=Folder(broken)).get("/api/events/id-0/spectrogram")
    assert (answer.status_code, answer.json()["error"]) == (409, "the clip cannot be read")


def test_health_is_for_machines(client: Client, parts: Parts) -> None:
    assert client().get("/healthz").status_code == 200
    ill = client(health=lambda: (False, {"reason": "stalled"})).get("/healthz")
    assert (ill.status_code, ill.json()) == (503, {"ok": False, "reason": "stalled"})
    parts.hub.status(status("lost"))
    assert client().get("/healthz").status_code == 503
    assert client().get("/metrics").status_code == 404


def test_files_of_the_page_are_asked_for_again_only_when_they_have_changed(client: Client) -> None:
    page = client()
    first = page.get("/static/page.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = page.get("/static/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
