"""What to say of a taught sound, plainly: whether it will do, and what to record next. Pure."""

from asit_edge.teach.lessons.quality import ALIKE, UNLIKE, Quality

GOOD = 5
"""Takes from which on more of the same kind bring little."""


def advice(quality: Quality) -> list[str]:
    """Sentences, the most important first; none where nothing is wrong."""
    said = []
    count = len(quality.takes)
    strangers = [take.name for take in quality.takes if take.likeness < UNLIKE]
    missed = [take.name for take in quality.takes if not take.heard and take.name not in strangers]
    if strangers:
        said.append(
            f"{_listed(strangers)}: sounds unlike the other takes; is the sound in it, and alone? "
            "Leave it out, or record more like it"
        )
    if 2 * quality.heard < count:
        said.append(
            f"the other takes find only {quality.heard} of {count} takes at this rate of false alarms: as it is, most "
            "will be missed. Record closer to it, with nothing else sounding; or allow more with --alarms-per-day"
        )
    elif missed:
        said.append(f"{_listed(missed)}: would be missed; record more takes from there")
    if quality.alike > ALIKE:
        said.append(
            "the takes are nearly the same: nothing is known of other distances and rooms; record some from where the "
            "microphone will be, and some from elsewhere"
        )
    if count < GOOD:
        said.append(f"{count} takes are few; {GOOD} or more are better: --more adds to them")
    return said


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
