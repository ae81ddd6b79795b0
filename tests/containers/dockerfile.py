"""A Dockerfile's steps, as far as ours go: `scripts/try-dockerfile` carries them out, tests look at what they name."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """An instruction in capitals, its options such as `--from=build`, and what comes after."""

    line: int
    word: str
    options: dict[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """Of an instruction in its JSON form, or else as a shell would part them."""
        return [str(one) for one in json.loads(self.rest)] if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass
class Stage:
    base: str
    name: str | None
    steps: list[Step] = field(default_factory=list)

    def every(self, word: str) -> list[Step]:
        return [one for one in self.steps if one.word == word]

    def last(self, word: str) -> Step:
        return self.every(word)[-1]

    @property
    def environment(self) -> dict[str, str]:
        pairs = [pair.partition("=") for step in self.every("ENV") for pair in step.words]
        return {name: value for name, _, value in pairs}


def read(file: Path) -> list[Stage]:
    """Raises ValueError for what is none of ours, or stands before FROM."""
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for line, text in _instructions(file.read_text(encoding="utf-8")):
        word, _, rest = text.partition(" ")
        options = dict[str, str]()
        while found := re.match(r"\s*--([\w-]+)=(\S+)\s*", rest):
            options[found[1]] = found[2]
            rest = rest[found.end() :]
        step = Step(line, word.upper(), options, rest.strip())
        if step.word == "ARG":
            name, _, value = step.rest.partition("=")
            arguments[name] = value
        elif step.word == "FROM":
            base, *more = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], step.rest).split()
            stages.append(Stage(base, more[1] if more else None))
        elif step.word in WORDS and stages:
            stages[-1].steps.append(step)
        else:
            raise ValueError(f"{file}:{line}: {step.word}")
    return stages


WORDS = {"RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def _instructions(text: str) -> list[tuple[int, str]]:
    """Each on one line, with the number of its first; comments between the lines of one are left out."""
    found: list[tuple[int, str]] = []
    going_on = False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        bare = line.rstrip().removesuffix("\\").strip()
        if going_on:
            found[-1] = (found[-1][0], f"{found[-1][1]} {bare}")
        else:
            found.append((number, bare))
        going_on = line.rstrip().endswith("\\")
    return found
