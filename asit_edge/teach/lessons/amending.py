"""What `asit-edge wrong` and `asit-edge missed` do, and the page's buttons: corrects a taught sound or a label."""

from typing import Literal, NamedTuple

from asit_edge.errors import WrongUse
from asit_edge.model.bundle import Bundle
from asit_edge.teach.lessons.correction import correction, is_label_of, moment
from asit_edge.teach.lessons.teaching import Examples, examples_of, remembered_take, taught_from
from asit_edge.teach.memory import Remembered, memory_folder
from asit_edge.teach.shelf import Shelf
from asit_edge.teach.space import load_space
from asit_edge.validation import nearest

Kind = Literal["wrong", "missed"]


class Amended(NamedTuple):
    """What has become of it: the name under which it is kept and, of a taught sound, how many takes are found."""

    name: str
    heard: int | None
    takes: int | None


def amend(bundle: Bundle, label: str, kind: Kind, what: str, begin: float, end: float, source: str | None) -> Amended:
    """Corrects what was heard, or was not, from `begin` to `end` (seconds since the epoch) on a source (None: the only
    one); `what` is what the correction is called among its takes.

    Raises WrongUse for a label that is not known, AsitEdgeError where nothing is remembered, or it would do harm.
    """
    space, shelf = load_space(bundle), Shelf()
    own = is_label_of(bundle.manifest, label)
    if own is None and not shelf.knows(label):
        known = [*(one.name for one in shelf.sounds()), *(one.name for one in bundle.manifest.labels)]
        raise WrongUse(
            f"{label!r}: neither a taught sound nor a label of {bundle.manifest.name}{nearest(label, known)}"
        )
    found = moment(memory_folder(), source, bundle.manifest, begin, end)
    if own is None:
        overlay = shelf.overlay(label, bundle.manifest, len(space.axes))
        examples = examples_of(overlay)
        _add(examples, kind, what, found)
        improved = taught_from(overlay.sound.name, examples, overlay.sound.alarms_per_day, bundle.manifest, space)
        shelf.put(improved.sound.model_copy(update={"enabled": overlay.sound.enabled}), improved.arrays)
        return Amended(overlay.sound.name, improved.quality.heard, len(improved.quality.takes))
    sound, arrays = correction(bundle.manifest, space, own, kind, found, what)
    shelf.put(sound, arrays)
    return Amended(sound.name, None, None)


def _add(examples: Examples, kind: Kind, what: str, found: Remembered) -> None:
    if kind == "wrong":
        examples.wrong.append(found.directions)
    else:
        remembered_take(examples, what, found.directions)
