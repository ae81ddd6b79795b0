"""The unit that is written: the one that comes with the package, with the paths of this installation."""

import re
from importlib import resources
from pathlib import Path

NAME = "asit-edge.service"

MARK = "# Written by asit-edge service install; asit-edge service remove deletes it. Change it with systemctl edit."


def unit(*, system: bool, executable: Path, config: Path | None) -> str:
    """Its text. Without `config`, listen looks for /etc/asit-edge/config.yaml."""
    name = NAME if system else NAME.replace(".service", ".user.service")
    template = resources.files("asit_edge.service").joinpath("units").joinpath(name)
    words = [str(executable), "listen", *(["--config", str(config)] if config else [])]
    lines = []
    for line in template.read_text(encoding="utf-8").splitlines():
        if line.startswith("ExecStart="):
            line = "ExecStart=" + " ".join(map(quoted, words))
        if not line.startswith("Documentation="):
            lines.append(line)
    return "\n".join([MARK, *lines]) + "\n"


def quoted(word: str) -> str:
    """A word of a command line in a unit, taken as it is (systemd.service(5), "Command lines")."""
    word = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[\w/.,:@+=%$-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def config_in(text: str) -> Path | None:
    """The configuration that such a unit names."""
    found = re.search(r'^ExecStart=.* --config ("(?:\\.|[^"\\])*"|\S+)$', text, re.MULTILINE)
    if found is None:
        return None
    word = found[1]
    if word.startswith('"'):
        word = re.sub(r"\\(.)", r"\1", word[1:-1])
    return Path(word.replace("%%", "%").replace("$$", "$"))
