"""What the page does that outlasts a run: clips to play, thresholds, mutes and snoozes; in a real browser."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import tones
from tests.integration.browser import Listening, answers, chromium
from tests.integration.mosquitto import wait_for


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def listening(tmp_path: Path, tone_bundle: Path) -> Iterator[Listening]:
    """Hears a low tone for a second every three, and keeps clips of a second before and half a second after it."""
    made = Listening(
        tmp_path,
        tones((0, 1), (500, 1), (0, 1)),
        model=str(tone_bundle),
        events={"merge_gap": 0.3},
        clips={"enabled": True, "folder": str(tmp_path / "clips"), "before": 1.0, "after": 0.5},
    ).start()
    answers(made)
    yield made
    if made.process.poll() is None:
        made.stop()


def test_a_clip_is_played_and_its_picture_drawn(listening: Listening, browser: Any) -> None:
    problems: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    ended = wait_for_clip(listening)
    page.goto(f"{listening.url}/#events")
    item = page.locator(f'#event-list [data-id="{ended["id"]}"]')
    item.get_by_role("button", name="Play Low tone").click()
    sound = item.locator("audio")
    wait_for(lambda: sound.evaluate("one => one.currentTime") > 0.3, 10, "it plays")
    # A second before the tone, the tone, half a second after it; decisions are 0.16 s apart.
    assert sound.evaluate("one => one.duration") == pytest.approx(2.5, abs=0.35)
    colours = """canvas => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size;
    }"""
    wait_for(lambda: item.locator("canvas").evaluate(colours) > 20, 10, "its picture")
    with page.expect_download() as download:
        item.get_by_role("link", name="Save").click()
    assert Path(download.value.path()).read_bytes()[:4] == b"fLaC"
    page.close()
    assert problems == []
    with urllib.request.urlopen(f"{listening.url}/clips/{ended['clip']}", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "audio/flac", "by the path that messages have, too"


def wait_for_clip(listening: Listening) -> dict[str, Any]:
    """The first event that has ended and whose clip is written."""

    def there() -> dict[str, Any] | None:
        for event in listening.events():
            if (
                event["type"] == "end"
                and event["clip"]
                and (listening.store.parent / "clips" / event["clip"]).is_file()
            ):
                return event
        return None

    wait_for(there, 30, "a clip")
    found = there()
    assert found is not None
    return found


def test_what_was_adjusted_holds_after_a_kill_and_a_restart(listening: Listening, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{listening.url}/#sounds")
    slider = page.get_by_label("Threshold of Low tone")
    slider.wait_for()
    slider.fill("0.7")
    page.get_by_label("Mute High tone").click()
    page.get_by_label("Snooze Low tone").select_option("3600")
    file = listening.store.with_name("adjustments.yaml")
    kept = ("0.7", "High tone", "snooz")
    wait_for(lambda: file.is_file() and all(one in file.read_text() for one in kept), 10, "it is written")
    listening.process.send_signal(signal.SIGKILL)
    listening.process.wait()
    listening.start()
    answers(listening)
    page.goto(f"{listening.url}/#sounds")
    page.reload()
    wait_for(lambda: slider.input_value() == "0.7", 20, "the threshold")
    wait_for(lambda: page.get_by_label("Mute High tone").get_attribute("aria-pressed") == "true", 10, "the mute")
    page.locator('#sound-list [data-label="Low tone"]').get_by_text("quiet until").wait_for()
    before = len(listening.events())
    page.wait_for_timeout(4_000)
    assert [event for event in listening.events()[before:] if event["type"] == "new"] == [], "it is snoozed"
    page.get_by_label("Snooze Low tone").select_option("0")
    wait_for(lambda: any(event["type"] == "new" for event in listening.events()[before:]), 15, "awake, it is heard")
    with urllib.request.urlopen(f"{listening.url}/healthz", timeout=10) as answer:
        assert json.load(answer)["ok"] is True
    with urllib.request.urlopen(f"{listening.url}/metrics", timeout=10) as answer:
        assert b'asit_events_total{label="Low tone",source="kitchen",type="new"}' in answer.read()
    page.close()
