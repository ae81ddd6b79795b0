"""A listener on a virtual clock that keeps clips, and events as a clip is made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from asit_edge.audio.clock import iso
from asit_edge.clips.ears import Ears
from asit_edge.clips.keeper import Keeper
from asit_edge.clips.recorder import Recorder
from asit_edge.clips.speech import NEAR
from asit_edge.listen.last_heard import LastHeard
from asit_edge.listen.loop import ListeningLoop
from asit_edge.listen.observed import ObservedAnnouncer
from asit_edge.messages.event import Event
from asit_edge.messages.report import ClipReport
from tests.conftest import write_tone_bundle
from tests.listen.test_loop import Scene
from tests.listen.virtual import Instantly
from tests.store.samples import event

BEGAN = 1_777_604_400.0
"""2026-05-01T03:00:00Z."""


def sound(number: int, onset: float = BEGAN, label: str = "Dog", **more: Any) -> Event:
    """The `number`th event; its id looks like one."""
    update = {"id": f"{number:08x}-5c6d-5e7f-8a9b-0c1d2e3f4a5b", "onset": iso(onset), "onset_epoch": onset}
    return event().model_copy(update=update | {"label": label} | more)


def ended(begun: Event, offset: float, **more: Any) -> Event:
    return begun.model_copy(update={"type": "end", "offset": iso(offset), **more})


class Kept(Scene):
    """What a listener writes into `folder`, and says of it."""

    def __init__(self, bundle: Path, folder: Path, clips: dict[str, Any] | None = None, **config: Any) -> None:
        settings = {"enabled": True, "folder": str(folder), "min_free_mb": 0, **(clips or {})}
        self.reports: list[ClipReport] = []
        self.folder = folder
        super().__init__(bundle, clips=settings, **config)

    def make(self, heard: LastHeard | None = None) -> None:
        settings = self.config.clips
        ears = None
        if settings.speech == "never":
            ears = Ears.open(self.config, self.model.manifest, Recorder.seconds(settings, NEAR) + NEAR)
        self.recorder = Recorder(settings, Keeper(settings, self.reports.append), ears, self.clock.steady)
        announcer = ObservedAnnouncer(self.notes, self.recorder)
        arguments = (self.config, self.model, self.sources, announcer, self.out, self.clock, Instantly, heard)
        self.loop = ListeningLoop(*arguments, observer=self.recorder)  # type: ignore[arg-type]
        self.recorder.start()
        self.loop.start()

    def stop(self) -> None:
        super().stop()
        self.recorder.stop(20)

    def wrote(self) -> dict[str, np.ndarray]:
        """By the label's slug, or slug and number where there are more; the samples of every clip."""
        found = {}
        for file in sorted(self.folder.rglob("*.flac")):
            label = file.stem.split("_", 1)[1].rsplit("_", 1)[0]
            samples, _ = soundfile.read(file, dtype="float32")
            found[label if label not in found else f"{label}{len(found)}"] = samples
        return found


def speaking_bundle(path: Path) -> Path:
    """A model for which a high tone is speech."""
    write_tone_bundle(path)
    manifest = yaml.safe_load((path / "bundle.yaml").read_text())
    manifest["labels"][1] |= {"name": "Speech", "id": "/m/09x0r"}
    (path / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    return path


def where(samples: np.ndarray, part: np.ndarray) -> int:
    """The place at which `part` is in `samples`, to the sample; -1 if it is not."""
    probe = part[: min(len(part), 40)]
    windows = np.lib.stride_tricks.sliding_window_view(samples, len(probe))
    [places] = np.nonzero(np.abs(windows - probe).max(axis=1) < 1e-4)
    return int(places[0]) if len(places) else -1
