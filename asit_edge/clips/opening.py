"""Puts the parts of clips together as the configuration says."""

import logging
from collections.abc import Callable

from asit_edge.clips.ears import Ears
from asit_edge.clips.keeper import Keeper
from asit_edge.clips.recorder import Recorder
from asit_edge.clips.speech import NEAR
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import label_index
from asit_edge.messages.report import ClipReport
from asit_edge.model.bundle import Manifest

log = logging.getLogger(__name__)


def open_clips(config: Config, manifest: Manifest, tell: Callable[[ClipReport], None]) -> Recorder:
    """`tell` takes what became of each clip and may wait for a disk.

    Raises WrongUse where the model has no such label, or cannot keep a promise about speech.
    """
    settings = config.clips
    for label in settings.labels or []:
        label_index(label, "clips.labels", manifest)
    ears = None
    if settings.speech == "never":
        ears = Ears.open(config, manifest, Recorder.seconds(settings, NEAR) + NEAR)
    keeper = Keeper(settings, tell)
    which = "all events" if settings.labels is None else ", ".join(settings.labels)
    without = ", but none with speech in it or near it" if ears else ""
    log.info("clips: of %s in %s%s", which, settings.effective_folder, without)
    return Recorder(settings, keeper, ears)
