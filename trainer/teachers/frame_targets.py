"""From a teacher's windows and a file's label to targets in time, one row a time step of the student.

A teacher says of a whole window that something is in it; a streaming student must say when. A sound that lasts is in
every window over it, a moment beside it is in some window without it: so a step's target is the lower side of the
windows that cover it. What the running score of a chunk should say, "heard in the last seconds", follows from these.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trainer.data.mixing import gain
from trainer.data.recording import StrongLabel
from trainer.teachers.stored_scores import Probabilities

IMPLIED = {
    "Bark": ("Dog",),
    "Bow-wow": ("Dog",),
    "Growling": ("Dog",),
    "Meow": ("Cat",),
    "Crowing, cock-a-doodle-doo": ("Chicken, rooster", "Fowl"),
    "Cluck": ("Chicken, rooster", "Fowl"),
    "Quack": ("Duck",),
    "Chirp, tweet": ("Bird", "Bird vocalization, bird call, bird song"),
    "Bird vocalization, bird call, bird song": ("Bird",),
    "Owl": ("Bird",),
    "Moo": ("Cattle, bovinae",),
    "Oink": ("Pig",),
    "Neigh, whinny": ("Horse",),
    "Clip-clop": ("Horse",),
    "Thunder": ("Thunderstorm",),
    "Waves, surf": ("Ocean",),
    "Rain on surface": ("Rain",),
    "Raindrop": ("Rain",),
    "Tick-tock": ("Tick", "Clock"),
    "Church bell": ("Bell",),
    "Police car (siren)": ("Siren",),
    "Ambulance (siren)": ("Siren",),
    "Fire engine, fire truck (siren)": ("Siren",),
    "Civil defense siren": ("Siren",),
    "Computer keyboard": ("Typing",),
    "Piano": ("Musical instrument", "Music"),
    "Guitar": ("Musical instrument", "Music"),
    "Female singing": ("Singing",),
    "Male singing": ("Singing",),
    "Subway, metro, underground": ("Train",),
    "Slam": ("Door",),
    "Knock": ("Door",),
    "Jet engine": ("Aircraft",),
    "Helicopter": ("Aircraft",),
    "Propeller, airscrew": ("Aircraft",),
    "Chainsaw": ("Power tool",),
    "Drill": ("Power tool",),
    "Male speech, man speaking": ("Speech",),
    "Female speech, woman speaking": ("Speech",),
    "Narration, monologue": ("Speech",),
    "Child speech, kid speaking": ("Speech",),
    "Baby cry, infant cry": ("Crying, sobbing",),
    "Baby laughter": ("Laughter",),
    "Giggle": ("Laughter",),
    "Chuckle, chortle": ("Laughter",),
    "Belly laugh": ("Laughter",),
    "Child singing": ("Singing",),
    "Purr": ("Cat",),
    "Goose": ("Fowl",),
    "Honk": ("Goose", "Fowl"),
    "Caw": ("Crow", "Bird"),
    "Crow": ("Bird",),
    "Coo": ("Pigeon, dove", "Bird"),
    "Pigeon, dove": ("Bird",),
    "Hoot": ("Owl", "Bird"),
    "Croak": ("Frog",),
    "Cricket": ("Insect",),
    "Mosquito": ("Insect",),
    "Bee, wasp, etc.": ("Insect",),
    "Breaking": ("Glass",),
    "Shatter": ("Glass",),
    "Chink, clink": ("Glass",),
    "Machine gun": ("Gunshot, gunfire",),
    "Artillery fire": ("Gunshot, gunfire",),
    "Cap gun": ("Gunshot, gunfire",),
    "Firecracker": ("Fireworks",),
    "Ding-dong": ("Doorbell",),
    "Smoke detector, smoke alarm": ("Alarm",),
    "Fire alarm": ("Alarm",),
    "Siren": ("Alarm",),
    "Alarm clock": ("Alarm",),
    "Toot": ("Vehicle horn, car horn, honking", "Vehicle"),
    "Vehicle horn, car horn, honking": ("Vehicle",),
    "Motorcycle": ("Vehicle",),
    "Bus": ("Vehicle",),
    "Truck": ("Vehicle",),
    "Train": ("Rail transport", "Vehicle"),
    "Train horn": ("Train", "Rail transport"),
    "Train whistle": ("Train", "Rail transport"),
    "Acoustic guitar": ("Guitar", "Musical instrument", "Music"),
    "Electric guitar": ("Guitar", "Musical instrument", "Music"),
    "Snare drum": ("Drum",),
    "Bass drum": ("Drum",),
    "Drum kit": ("Drum", "Musical instrument", "Music"),
}
"""AudioSet classes that a label says as well (from AudioSet's ontology)."""

AUDIBLE_DB = -25.0
"""A step this far below the loudest step of its recording does not carry the recording's label."""

KNOWS = 0.1
"""A teacher that gives a label this much anywhere in a recording is trusted to say where in it."""

CERTAIN = 0.95
"""Target of a label that a person gave."""


def steps_from_windows(
    windows: Probabilities, window: float, hop: float, steps: int, step: float = 0.16
) -> Probabilities:
    """Windows (n, labels), `window` s every `hop` s, to steps of `step` s, (steps, labels): of those that
    cover a step, sqrt(lowest * mean).

    Past the last window's end the last window counts.
    """
    centres = (np.arange(steps) + 0.5) * step
    first = np.maximum(np.ceil((centres - window) / hop - 1e-9).astype(int), 0)
    last = np.floor(centres / hop + 1e-9).astype(int)
    targets = np.empty((steps, windows.shape[1]), np.float32)
    for place in range(steps):
        end = min(int(last[place]), len(windows) - 1)
        covering = windows[min(int(first[place]), end) : end + 1]
        targets[place] = np.sqrt(covering.min(axis=0) * covering.mean(axis=0))
    return targets


def audible_steps(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which steps of a recording are heard, from each step's RMS (steps,)."""
    return levels >= max(float(levels.max()) * gain(AUDIBLE_DB), 1e-4)


def with_label(
    targets: Probabilities, label: str, labels: Sequence[str], audible: npt.NDArray[np.bool_]
) -> Probabilities:
    """Targets (steps, labels) with the recording's own label, and what it implies, put on its audible steps.

    Where the teacher knows the label in this recording, only on the steps where it hears it.
    """
    raised = targets.copy()
    for name in (label, *IMPLIED.get(label, ())):
        if name not in labels:
            continue
        column = raised[:, labels.index(name)]
        heard = audible
        if column.max() >= KNOWS:
            heard = audible & (column >= 0.25 * column.max())
        column[heard] = np.maximum(column[heard], CERTAIN)
    return raised


def with_events(
    targets: Probabilities, events: Sequence[StrongLabel], labels: Sequence[str], step: float
) -> Probabilities:
    """Targets (steps, labels), `step` seconds each, with strong labels: certain while a sound lasts, else never."""
    settled = targets.copy()
    for event in events:
        for name in (event.category, *IMPLIED.get(event.category, ())):
            if name in labels:
                settled[:, labels.index(name)] = np.minimum(settled[:, labels.index(name)], 1 - CERTAIN)
    for event in events:
        first, last = int(event.onset / step + 0.5), int(np.ceil(event.offset / step - 0.5))
        for name in (event.category, *IMPLIED.get(event.category, ())):
            if name in labels:
                settled[first : max(last, first + 1), labels.index(name)] = CERTAIN
    return settled
