"""What a model knows at the moment: its own labels and, after them, the sounds that were taught on this device.

Whoever teaches, renames or removes a sound does it in another process. A listener looks after it from a thread of its
own, so that a disk that hangs holds up nothing. A column that was given to a sound stays its own for as long as the
process runs; of a sound that is gone it scores nothing and is reported no more.
"""

import logging
import threading
from collections.abc import Callable, Iterator

from asit_edge.errors import AsitEdgeError
from asit_edge.model.bundle import Bundle, BundleLabel, Manifest
from asit_edge.model.classifier import Embedding
from asit_edge.teach.overlay import Overlay
from asit_edge.teach.shelf import Shelf
from asit_edge.teach.space import Axes, load_axes
from asit_edge.teach.taught import Corrector, TaughtClassifier

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between looks at the folder of taught sounds."""


class Vocabulary:
    """Of one bundle that can be taught."""

    def __init__(
        self,
        bundle: Bundle,
        model: Embedding,
        shelf: Shelf,
        adjusted: Callable[[Manifest], Manifest] = lambda manifest: manifest,
    ) -> None:
        """Reads what is taught now; `adjusted` puts thresholds that were calibrated in place of a manifest's own."""
        self.classifier = TaughtClassifier(model)
        self._bundle, self._shelf, self._adjusted = bundle, shelf, adjusted
        self._axes: Axes | None = None
        self._labels: list[BundleLabel] = []
        self._stamp = shelf.stamp()
        self._found: list[Overlay] | None = None
        self._stopping = threading.Event()
        self.manifest: Manifest = bundle.manifest
        """Of the model and what is taught; changes with `take`."""
        if self._stamp:
            self._found = self._read()
            self.take()

    def watch(self) -> None:
        """From now on the folder is looked after, until `stop`."""
        threading.Thread(target=self._watch, name="taught sounds", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def take(self) -> bool:
        """Between two steps: makes what was found the vocabulary. False if there is nothing new."""
        found, self._found = self._found, None
        if found is None:
            return False
        by_id = {overlay.sound.slug: overlay for overlay in found if overlay.sound.corrects is None}
        labels = [_gone(label) if label.id not in by_id else by_id[label.id].sound.label for label in self._labels]
        known = {label.id for label in labels}
        self._labels = labels + [one.sound.label for slug, one in by_id.items() if slug not in known]
        prototypes = [by_id[label.id].prototype if label.id in by_id else None for label in self._labels]
        if self._axes is not None:
            self.classifier.know(prototypes, self._axes, list(self._correctors(found)))
        labels = [*self._bundle.manifest.labels, *self._labels]
        self.manifest = self._adjusted(self._bundle.manifest.model_copy(update={"labels": labels}))
        if found:
            log.info("taught sounds: %s", ", ".join(overlay.sound.name for overlay in found))
        return True

    def _correctors(self, found: list[Overlay]) -> Iterator[Corrector]:
        names = [label.name for label in self._bundle.manifest.labels]
        for overlay in found:
            corrects = overlay.sound.corrects
            if corrects is not None and corrects.label in names:
                yield Corrector(names.index(corrects.label), overlay.prototype, corrects.kind == "wrong")

    def remember(self) -> Axes:
        """From now on directions are computed though nothing is taught; along these axes. Raises AsitEdgeError."""
        if self._axes is None:
            self._axes = load_axes(self._bundle)
            self.classifier.know([], self._axes)
        self.classifier.remembers = True
        return self._axes

    def _read(self) -> list[Overlay]:
        try:
            if self._axes is None:
                self._axes = load_axes(self._bundle)
            return list(self._shelf.overlays(self._bundle.manifest, len(self._axes)))
        except AsitEdgeError as error:
            log.warning("no taught sound is used: %s", error)
            return []

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_EVERY):
            stamp = self._shelf.stamp()
            if stamp != self._stamp:
                self._stamp = stamp
                self._found = self._read()


def _gone(label: BundleLabel) -> BundleLabel:
    """What a column is called whose sound is not used any more."""
    return label.model_copy(update={"experimental": True})
