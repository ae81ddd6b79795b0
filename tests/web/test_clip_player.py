"""A clip in a real browser: it is played, and its picture is seen."""

import threading
from dataclasses import replace
from pathlib import Path

import soundfile

from asit_edge.store.store import Store
from asit_edge.web.app import make_app
from asit_edge.web.parts import Parts
from asit_edge.web.server import Served, Server
from asit_edge.web.stream import Live
from tests.conftest import tones
from tests.integration.browser import chromium
from tests.integration.mosquitto import free_port, wait_for
from tests.live.pictures import heard
from tests.store.samples import TO_MQTT
from tests.web.test_routes import Folder


def test_a_clip_is_played_and_seen(parts: Parts, tmp_path: Path) -> None:
    clip = tmp_path / "120000Z_low_tone_id-0.flac"
    soundfile.write(clip, tones((0, 0.5), (500, 2), (3000, 0.5)), 16_000)
    store = Store(parts.store, sinks=TO_MQTT)
    store.commit([heard(0, "end").model_copy(update={"clip": clip.name, "duration": 2.0})], "kitchen/event")
    store.close()
    begun, port = threading.Event(), free_port()
    begun.set()

    def make() -> Served:
        about = {"remembers": False, "versions": {"asit_edge": "", "python": "", "onnxruntime": ""}}
        own = replace(parts, shelf=Folder(clip), about={"backend": "", "provider": "", "precision": "", **about})
        live = Live(own)
        return Served(make_app(own, live), live.close)

    server = Server("127.0.0.1", port, make, begun, lambda _: None)
    server.start()
    try:
        with chromium() as browser:
            page = browser.new_context(viewport={"width": 360, "height": 740}, device_scale_factor=2).new_page()
            problems: list[str] = []
            page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            wait_for(lambda: page.goto(f"http://127.0.0.1:{port}/#events") or True, 10, "the page")
            play = page.get_by_role("button", name="Play Low tone")
            play.click()
            wait_for(lambda: page.evaluate("document.querySelector('audio').currentTime > 0"), 10, "it plays")
            colours = """() => {
                const { width, height } = document.querySelector('canvas.picture');
                const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
                copy.drawImage(document.querySelector('canvas.picture'), 0, 0);
                return new Set(new Uint32Array(copy.getImageData(0, 0, width, height).data.buffer)).size;
            }"""
            wait_for(lambda: page.evaluate(colours) > 20, 10, "its picture")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            page.screenshot(path=tmp_path / "clip.png")
            assert play.get_attribute("aria-expanded") == "true"
            play.click()
            assert page.locator("audio").count() == 0
            with page.expect_download() as download:
                play.click()
                page.get_by_role("link", name="Save").click()
            assert Path(download.value.path()).read_bytes() == clip.read_bytes()
            assert problems == []
    finally:
        server.stop(10)
