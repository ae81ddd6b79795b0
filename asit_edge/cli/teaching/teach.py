"""`asit-edge teach`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import AsitEdgeError, WrongUse, readable

if TYPE_CHECKING:
    from asit_edge.config.root import Config
    from asit_edge.model.bundle import Manifest
    from asit_edge.teach.lessons.takes import Take
    from asit_edge.teach.lessons.teaching import Examples, Taught, Teacher


def teach(
    name: Annotated[str, typer.Argument(help="What the sound is called from now on.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Takes: recordings with the sound in each.")] = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    from_events: Annotated[
        list[str] | None, typer.Option(help="Id of a stored event that was the sound; repeat.")
    ] = None,
    record: Annotated[int, typer.Option(min=0, max=50, help="Record so many takes from the first source.")] = 0,
    seconds: Annotated[float, typer.Option(min=0.5, max=60.0, help="Of each take that is recorded.")] = 4.0,
    wrong: Annotated[
        list[Path] | None, typer.Option("--not", help="A recording of what it is not, though it is like it; repeat.")
    ] = None,
    more: Annotated[bool, typer.Option("--more", help="Add to a sound that is taught already.")] = False,
    spoken: Annotated[bool, typer.Option("--speech", help="The sound is itself a voice.")] = False,
    per_day: Annotated[
        float | None, typer.Option("--alarms-per-day", min=0.01, max=10_000.0, help="False alarms to allow; default 1.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how good it would be; teach nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was found, as JSON.")] = False,
) -> None:
    """Teach a sound from three takes or more; every command knows it from then on, a listener that runs too."""
    from asit_edge.model.bundle import find_bundle, load_bundle
    from asit_edge.teach.lessons.background import place_background
    from asit_edge.teach.lessons.teaching import Examples, Teacher, check_name, examples_of, taught_from
    from asit_edge.teach.shelf import Shelf
    from asit_edge.teach.space import load_space

    settings = load_settings(config, model)
    bundle = load_bundle(find_bundle(settings.model))
    check_name(name, bundle)
    shelf = Shelf()
    if shelf.knows(name) and not more:
        raise WrongUse(
            f"{name!r} is taught already: --more adds takes to it, asit-edge taught remove {name!r} forgets it"
        )
    if not files and not record and not from_events and not (more and wrong):
        raise WrongUse("name files with the sound, or --record 3 to record it now")
    space = load_space(bundle)
    examples, allowed, enabled = Examples(), per_day or 1.0, True
    if more:
        known = shelf.overlay(name, bundle.manifest, len(space.axes))
        examples, allowed, enabled = examples_of(known), per_day or known.sound.alarms_per_day, known.sound.enabled
    teacher = Teacher(bundle, space.axes, settings.threads)
    takes = _read(files or [], teacher.rate)
    takes += [_recorded(settings, teacher.rate, seconds, number, record) for number in range(1, record + 1)]
    for wanted in from_events or []:
        _remember(examples, settings, bundle.manifest, wanted)
    _hear(teacher, examples, takes, _read(wrong or [], teacher.rate), name, spoken)
    background = place_background(bundle.manifest)
    taught = taught_from(name, examples, allowed, bundle.manifest, space, background)
    if not dry_run:
        shelf.put(taught.sound.model_copy(update={"enabled": enabled}), taught.arrays)
    _tell(taught, dry_run, as_json)


def _remember(examples: "Examples", settings: "Config", manifest: "Manifest", wanted: str) -> None:
    from asit_edge.cli.teaching.corrections import span_of, stored_event
    from asit_edge.teach.lessons.correction import moment
    from asit_edge.teach.lessons.teaching import remembered_take
    from asit_edge.teach.memory import memory_folder

    event = stored_event(settings, wanted)
    found = moment(memory_folder(), event.source, manifest, *span_of(event))
    remembered_take(examples, f"event {event.id}", found.directions)


def _read(files: list[Path], rate: int) -> "list[Take]":
    from asit_edge.teach.lessons.takes import read_take

    return [read_take(file, rate) for file in files]


def _recorded(settings: "Config", rate: int, seconds: float, number: int, count: int) -> "Take":
    from asit_edge.assembly import open_source
    from asit_edge.teach.lessons.recording import record
    from asit_edge.teach.lessons.takes import take_of

    source = open_source(settings.sources[0], rate)
    if sys.stdin.isatty():
        input(f"take {number} of {count}: press Enter, then make the sound within {seconds:g} s ")
    samples = record(source, seconds, rate, lambda: _note(f"take {number} of {count}: recording for {seconds:g} s"))
    return take_of(f"recorded take {number}", samples, rate)


def _hear(
    teacher: "Teacher", examples: "Examples", takes: "list[Take]", wrong: "list[Take]", name: str, spoken: bool
) -> None:
    _note(f"listening to {len(takes)} take(s)")
    if twice := teacher.hear(examples, takes, wrong):
        _note(f"{twice} take(s) are there twice, or are known already: they count once")
    if examples.spoken and all(examples.spoken) and not spoken:
        raise AsitEdgeError(
            f"{name!r}: in every take somebody speaks, and it is speech that would be learnt; record the sound alone, "
            "or say --speech if the sound is a voice"
        )
    if any(examples.spoken) and not spoken:
        _note("somebody speaks in some of the takes; the sound alone would be better")


def _tell(taught: "Taught", dry_run: bool, as_json: bool) -> None:
    from asit_edge.teach.lessons.advice import advice

    sound, quality = taught.sound, taught.quality
    said = advice(quality)
    if as_json:
        print(json.dumps({**sound.model_dump(mode="json"), "advice": said}, ensure_ascii=False))
        return
    done = "would be taught" if dry_run else "is taught"
    print(f"{readable(sound.name)!r} {done}, with {len(sound.takes)} takes")
    print(
        f"  takes that the others find: {quality.heard} of {len(quality.takes)} "
        f"(average precision {quality.average_precision:.2f} among {quality.negatives:,} other sounds)"
    )
    print(f"  false alarms: {quality.taken_for_it} of those other sounds would be taken for it")
    if sound.quality.background_hours:
        print(f"  and of {sound.quality.background_hours:.1f} h of this place at most {sound.alarms_per_day:g} a day")
    if quality.confused_with:
        print(f"  most like it: {', '.join(quality.confused_with)}")
    for sentence in said:
        print(f"  note: {readable(sentence)}")


def _note(text: str) -> None:
    print(f"asit-edge: {readable(text)}", file=sys.stderr, flush=True)
