"""The page of a real listener in a real browser: seen, used, lost and found again."""

import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import tones
from tests.integration.browser import Listening, answers, chromium
from tests.integration.mosquitto import Mosquitto, Subscriber, wait_for

Open = Callable[..., Any]
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 860}
VIEWS = ["now", "events", "history", "sounds", "health"]
TOKEN = "correct horse battery"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory, tone_bundle: Path, broker: Mosquitto) -> Iterator[Listening]:
    """Hears a low tone for a second every three, all the time."""
    sound = tones((0, 1), (500, 1), (0, 1))
    made = Listening(
        tmp_path_factory.mktemp("listening"),
        sound,
        model=str(tone_bundle),
        events={"merge_gap": 0.3},
        mqtt={"host": "127.0.0.1", "port": broker.port},
        # A process that is stopped counts these seconds, too: its source is not to be given up meanwhile.
        sources=[{"type": "stdin", "name": "kitchen", "reopen_after": 120}],
    ).start()
    answers(made)
    yield made
    if made.process.poll() is None:
        made.stop()


@pytest.fixture
def show(browser: Any) -> Iterator[Open]:
    """Opens a page; whatever its console says that is no news fails the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def opened(url: str, size: dict[str, int] | None = None, *, expected: str = "", **options: Any) -> Any:
        contexts.append(browser.new_context(viewport=size or DESKTOP, **options))
        page = contexts[-1].new_page()

        def noted(message: Any) -> None:
            if message.type in ("error", "warning") and not (expected and expected in message.text):
                problems.append(message.text)

        page.on("console", noted)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for one in contexts:
        one.close()
    assert problems == []


def pixels(page: Any) -> str:
    """The picture of the first spectrogram."""
    text: str = page.evaluate("document.querySelector('canvas.spectrogram').toDataURL()")
    return text


def coloured(page: Any) -> int:
    """How many colours it has."""
    count: int = page.evaluate(
        """() => {
            const canvas = document.querySelector('canvas.spectrogram');
            const { width, height } = canvas;
            const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
            copy.drawImage(canvas, 0, 0);
            const data = copy.getImageData(0, 0, width, height).data;
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    return count


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_view_is_seen_on_every_screen(listening: Listening, show: Open, size: dict[str, int], theme: str) -> None:
    page = show(listening.url, size, color_scheme=theme)
    page.get_by_text("Listening").first.wait_for()
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, ground[4:-1].split(","))) / 3
    assert bright > 200 if theme == "light" else bright < 60
    wait_for(lambda: coloured(page) > 50, 15, "a spectrogram")
    first = pixels(page)
    wait_for(lambda: pixels(page) != first, 5, "it moves")
    wait_for(lambda: page.locator("#latest .event").count() > 0, 20, "an event")
    for view in VIEWS:
        page.goto(f"{listening.url}/#{view}")
        heading = page.locator(f"#{view} h2")
        heading.wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, f"{view} fits"
        assert [one for one in VIEWS if page.locator(f"#{one}").is_visible()] == [view]
    small = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, .tabs a')]
            .filter((one) => one.offsetParent && Math.min(one.offsetWidth, one.offsetHeight) < 24).length"""
    )
    assert small == 0, "large enough for a finger"


def test_an_event_is_there_within_a_second_of_the_brokers(listening: Listening, broker: Mosquitto, show: Open) -> None:
    page = show(listening.url)
    page.get_by_text("Listening").first.wait_for()
    with Subscriber(broker, topic="asit/cottage/kitchen/event") as subscriber:
        known = len(subscriber.messages)
        wait_for(lambda: len(subscriber.messages) > known, 20, "the broker's event")
        told = next(json.loads(payload) for _, payload, _ in subscriber.messages[known:])
        began = time.monotonic()
        page.locator(f'#latest [data-id="{told["id"]}"]').wait_for(timeout=5_000)
        assert time.monotonic() - began < 1


def test_a_threshold_is_obeyed_at_once_and_there_after_a_reload(
    listening: Listening, broker: Mosquitto, show: Open
) -> None:
    page = show(f"{listening.url}/#sounds")
    slider = page.get_by_label("Threshold of Low tone")
    slider.wait_for()
    assert slider.input_value() == "0.5"
    topic = "asit/cottage/kitchen/threshold/low_tone"
    with Subscriber(broker, topic=topic) as subscriber:
        slider.focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        wait_for(lambda: subscriber.payloads(topic)[-1:] == ["0.6"], 10, "obeyed")
        page.reload()
        slider.wait_for()
        assert slider.input_value() == "0.6"
        slider.fill("0.5")
        wait_for(lambda: subscriber.payloads(topic)[-1:] == ["0.5"], 10, "as before")


def test_a_source_is_switched_off_and_on_again(listening: Listening, show: Open) -> None:
    page = show(f"{listening.url}/#sounds")
    switch = page.get_by_role("switch", name="Listen to kitchen")
    switch.wait_for()
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    page.locator("#switches").get_by_text("Muted").wait_for()
    assert page.locator("#overall").text_content() == "Muted"
    switch.click()
    page.locator("#switches").get_by_text("Listening").wait_for()


def test_what_is_switched_stays_under_the_hand(listening: Listening, show: Open) -> None:
    page = show(f"{listening.url}/#sounds")
    for name, state in (("Mute High tone", "aria-pressed"), ("Listen to kitchen", "aria-checked")):
        button = page.get_by_label(name)
        button.wait_for()
        button.focus()
        before = button.get_attribute(state)
        for wanted in ("false" if before == "true" else "true", before):
            page.keyboard.press("Space")
            page.wait_for_selector(f'[aria-label="{name}"][{state}="{wanted}"]', timeout=10_000)
            assert page.evaluate("document.activeElement.getAttribute('aria-label')") == name
    page.get_by_label("Snooze High tone").select_option("900")
    page.locator('#sound-list [data-label="High tone"]').get_by_text("quiet until").wait_for()
    page.get_by_label("Snooze High tone").select_option("0")
    page.locator('#sound-list [data-label="High tone"]').get_by_text("quiet until").wait_for(state="detached")


def test_events_are_looked_through_and_counted(listening: Listening, show: Open, tmp_path: Path) -> None:
    page = show(listening.url)
    wait_for(lambda: page.locator("#latest .event").count() >= 2, 30, "two events")
    page.get_by_role("link", name="All events").click()
    rows = page.locator("#event-list .event")
    wait_for(lambda: rows.count() >= 2, 5, "the list")
    seen = rows.count()
    wait_for(lambda: rows.count() > seen, 15, "what comes is added")
    page.get_by_label("Sound", exact=True).first.select_option("High tone")
    page.get_by_text("Nothing of this was heard").wait_for()
    page.get_by_label("Sound", exact=True).first.select_option("Low tone")
    rows.first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("onset,label,source")
    assert len(lines) - 1 >= seen
    page.goto(f"{listening.url}/#history")
    page.locator("#heat").get_by_role("button", name="Low tone").wait_for()
    counted = sum(int(one) for one in page.locator("#heat tbody td .unseen").all_text_contents())
    assert counted >= seen
    page.get_by_role("button", name="Week").click()
    page.get_by_text("three hours, the last 7 days").wait_for()
    page.locator("#heat").get_by_role("button", name="Low tone").click()
    page.locator("#events h2").wait_for()
    assert page.get_by_label("Sound", exact=True).first.input_value() == "Low tone"


def test_a_list_that_stays_open_keeps_its_bounds_and_the_focus(listening: Listening, show: Open) -> None:
    """Hundreds of events while somebody is at one of them with the keyboard."""
    page = show(f"{listening.url}/#health")
    page.locator("#health-cards .card").first.wait_for()
    found = page.evaluate(
        """async () => {
            const { Events } = await import("/static/events.js");
            const told = {};
            const world = { on: (kind, take) => (told[kind] = take), sources: ["kitchen"], labels: [],
                state: { sources: [], can: { clips: true, correct: false } } };
            document.getElementById("events").hidden = false;
            const events = new Events(world);
            events.seen = true;
            const hear = (seq, type) => told.event({ id: `id-${seq}`, type, seq, label: "Dog", source: "kitchen",
                clip: "x.flac", also: [], peak: 0.5, duration: 1, onset: "", onset_epoch: 1767225600 });
            for (let seq = 1; seq <= 500; seq++) hear(seq, "new");
            const button = document.querySelector('[data-id="id-400"] .play');
            button.focus();
            for (let seq = 501; seq <= 520; seq++) hear(seq, "new");
            const rows = [...document.querySelectorAll("#event-list .event")];
            return [rows.length, rows.at(-1).dataset.id, events.next, document.activeElement === button];
        }"""
    )
    assert found == [500, "id-21", 21, True]


def test_what_is_told_while_the_page_opens_is_not_forgotten(listening: Listening, show: Open) -> None:
    page, missed = show("about:blank"), list[str]()

    def hold(route: Any) -> None:
        answer, known = route.fetch(), len(listening.events())

        def whole() -> list[str]:
            events = listening.events()[known:]
            began = {event["id"] for event in events if event["type"] == "new"}
            return [event["id"] for event in events if event["type"] == "end" and event["id"] in began]

        wait_for(whole, 20, "an event begins and ends meanwhile")
        time.sleep(0.5)
        missed.append(whole()[0])
        route.fulfill(response=answer)

    page.route("**/api/state", hold, times=1)
    page.goto(listening.url)
    page.locator("#sources .card").first.wait_for(timeout=40_000)
    assert page.locator(f'#latest [data-id="{missed[0]}"]').count() == 1


def test_a_page_that_is_opened_where_nobody_sees_it_lets_go(listening: Listening, show: Open) -> None:
    page = show("about:blank")
    page.add_init_script(
        """window.streams = [];
        Object.defineProperty(document, "hidden", { get: () => window.unseen ?? true });
        window.EventSource = class extends EventSource {
            constructor(...all) { super(...all); window.streams.push(this); }
        };"""
    )
    page.clock.install()
    page.goto(listening.url)
    page.locator("#sources .card").first.wait_for()
    page.clock.fast_forward(21_000)
    page.clock.run_for(5_000)  # what it might try again
    closed = "streams.map((one) => one.readyState === EventSource.CLOSED)"
    assert all(page.evaluate(closed)), "it has let go"
    page.evaluate("() => { window.unseen = false; document.dispatchEvent(new Event('visibilitychange')); }")
    wait_for(lambda: not page.evaluate(closed)[-1], 5, "it is back")


def test_it_says_when_the_connection_is_lost_and_comes_back(listening: Listening, show: Open) -> None:
    page = show(listening.url, expected="Failed to load resource")
    page.get_by_text("Listening").first.wait_for()
    banner = page.locator("#lost")
    assert not banner.is_visible()
    listening.stop()
    wait_for(banner.is_visible, 10, "it says so")
    assert "Trying again" in banner.text_content()
    listening.start()
    wait_for(lambda: not banner.is_visible(), 40, "it is back")
    first = pixels(page)
    wait_for(lambda: pixels(page) != first, 10, "it moves again")


def test_with_a_token_it_asks_for_it_once(tmp_path: Path, tone_bundle: Path, show: Open) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    listening = Listening(
        tmp_path, tones((0, 1)), model=str(tone_bundle), web={"host": "0.0.0.0", "token_file": str(file)}
    ).start()
    answers(listening)
    page = show(listening.url, PHONE, expected="Failed to load resource: the server responded with a status of 403")
    page.get_by_label("Token").fill("nonsense")
    page.keyboard.press("Enter")
    page.get_by_text("This is not the token").wait_for()
    assert not page.locator("#now").is_visible()
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.get_by_text("Listening").first.wait_for()
    page.reload()
    page.get_by_text("Listening").first.wait_for()
    assert page.evaluate("document.cookie") == "", "no script can read it"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    page.reload()
    page.get_by_label("Token").wait_for()
    page.close()
    assert TOKEN not in listening.log.read_text()
    listening.stop()


def test_it_is_used_with_the_keyboard_alone(listening: Listening, show: Open) -> None:
    page = show(listening.url, reduced_motion="reduce")
    page.get_by_text("Listening").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    for view in VIEWS:
        page.keyboard.press("Tab")
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert (page.evaluate("document.activeElement.hash"), ring) == (f"#{view}", "solid")
    page.keyboard.press("Enter")
    page.locator("#health h2").wait_for()
    page.goto(f"{listening.url}/#events")
    page.get_by_role("button", name="Missed something?").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, a, select, input')].filter((one) =>
            !(one.textContent.trim() || one.getAttribute('aria-label') || one.labels?.length || one.hidden)).length"""
    )
    assert unnamed == 0
    said = page.locator("#spoken")
    wait_for(lambda: said.text_content(), 30, "new events are said")
    assert said.text_content() == "Heard: Low tone"


def test_a_label_that_is_markup_is_a_text(tmp_path: Path, tone_bundle: Path, show: Open) -> None:
    bundle = tmp_path / "evil"
    shutil.copytree(tone_bundle, bundle)
    manifest = yaml.safe_load((bundle / "bundle.yaml").read_text())
    evil = '<img src=x onerror="document.title=1"></option><script>alert(1)</script>'
    manifest["labels"][0]["name"] = evil
    (bundle / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    listening = Listening(tmp_path, tones((500, 1), (0, 1)), model=str(bundle)).start()
    answers(listening)
    page = show(listening.url)
    wait_for(lambda: page.locator("#latest .event").count() > 0, 20, "an event")
    for view in VIEWS:
        page.goto(f"{listening.url}/#{view}")
        page.wait_for_timeout(200)
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "cottage · ASiT Edge"
    page.goto(f"{listening.url}/#events")
    assert page.locator("#event-list .event .name").first.text_content() == evil
    page.close()
    listening.stop()


def test_nobody_hears_less_because_of_the_page(listening: Listening, show: Open) -> None:
    """Five pages, a flood of requests and a hundred connections that never come to the point: not a gap."""
    pages = [show(listening.url, expected="429") for _ in range(3)]
    pages[0].get_by_text("Listening").first.wait_for()
    gaps, slow = listening.log.read_text().count("were not heard"), []
    over = time.monotonic() + 3

    def flood() -> None:
        while time.monotonic() < over:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", listening.port, timeout=5)
                connection.request("GET", "/api/state")
                connection.getresponse().read()
                connection.close()
            except (OSError, http.client.HTTPException):
                pass

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for one in threads:
        one.start()
    for _ in range(100):
        slow.append(socket.create_connection(("127.0.0.1", listening.port), timeout=5))
        slow[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX")
    for one in threads:
        one.join()
    for held in slow:
        held.close()
    before = len(listening.events())
    wait_for(lambda: len(listening.events()) > before, 20, "it goes on")
    assert listening.log.read_text().count("were not heard") == gaps


def test_a_listener_whose_port_is_taken_listens(
    listening: Listening, broker: Mosquitto, tmp_path: Path, tone_bundle: Path
) -> None:
    mqtt = {"host": "127.0.0.1", "port": broker.port, "client_id": "other"}
    other = Listening(tmp_path, tones((0, 1), (500, 1)), model=str(tone_bundle), mqtt=mqtt)
    text = other.config.read_text().replace(f"port: {other.port}", f"port: {listening.port}")
    other.config.write_text(text.replace("cottage", "attic"))
    with Subscriber(broker, topic="asit/attic/#") as subscriber:
        other.start()
        wait_for(lambda: subscriber.payloads("asit/attic/kitchen/event"), 30, "it hears")
        wait_for(lambda: "cannot be had" in "".join(subscriber.payloads("asit/attic/health")[-1:]), 10, "it is said")
    other.stop()
    assert f"the page: 127.0.0.1 port {listening.port} cannot be had (Address already in use)" in other.log.read_text()


def test_a_listener_that_hangs_holds_up_nobody_for_ever(listening: Listening, show: Open) -> None:
    """A process that is stopped says nothing: the page notices by the silence."""
    page = show(listening.url, expected="Failed to load resource")
    page.get_by_text("Listening").first.wait_for()
    os.kill(listening.process.pid, signal.SIGSTOP)
    try:
        wait_for(page.locator("#lost").is_visible, 25, "the silence is noticed")
    finally:
        os.kill(listening.process.pid, signal.SIGCONT)
    wait_for(lambda: not page.locator("#lost").is_visible(), 90, "it is back")
