"""Where a service is on this machine, and what installing and removing it does."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import asit_edge
from asit_edge.config.file import SYSTEM_CONFIG
from asit_edge.errors import WrongUse, for_shell
from asit_edge.host.directories import default_cache, state_directory
from asit_edge.service.actions import Action, Delete, Run, Write
from asit_edge.service.unit import MARK, NAME, config_in, unit

BUILDER = ("asit-edge-build.path", "asit-edge-build.service")
"""What docs/jetson.md puts beside the system's service."""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""What the system's unit does not see (ProtectHome, PrivateTmp)."""

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_DATA = (
    "/var/lib/private/asit-edge",
    "/var/lib/asit-edge",
    "/var/cache/private/asit-edge",
    "/var/cache/asit-edge",
)
"""systemd keeps what belongs to a dynamic user below `private`, and a link beside."""


@dataclass(frozen=True)
class Service:
    """Of the system, or of the user who asks."""

    system: bool

    @property
    def unit_file(self) -> Path:
        if self.system:
            return SYSTEM_UNITS / NAME
        configured = os.environ.get("XDG_CONFIG_HOME")
        try:
            return (Path(configured) if configured else Path.home() / ".config") / "systemd" / "user" / NAME
        except RuntimeError:
            raise WrongUse("this user has no home directory, and so no services; --system is for root") from None

    @property
    def whose(self) -> str:
        """In words for people."""
        return "the system's service" if self.system else "a service of your own"

    def systemctl(self, *words: str) -> tuple[str, ...]:
        return ("systemctl", *([] if self.system else ["--user"]), *words)

    def journalctl(self, *words: str) -> tuple[str, ...]:
        return ("journalctl", *([] if self.system else ["--user"]), "--unit", NAME, *words)

    @property
    def data(self) -> list[Path]:
        """What the service itself has made: its store, what it was taught, caches."""
        places = [Path(one) for one in SYSTEM_DATA] if self.system else [state_directory(), default_cache()]
        return [one for one in places if one.exists() or one.is_symlink()]


def installing(service: Service, executable: Path, config: Path | None, *, start: bool = True) -> list[Action]:
    """What is to be done, in this order. Raises WrongUse where the service could not work."""
    if service.system:
        _seen_by_the_system(executable, config)
        config = None if config == SYSTEM_CONFIG else config
    there = service.unit_file
    if there.exists() and MARK not in there.read_text(encoding="utf-8", errors="replace"):
        raise WrongUse(
            f"{there}: is there and was not written by asit-edge service install; look what it is, and move it away: "
            f"{'sudo ' if service.system else ''}mv {for_shell(there)} {for_shell(there)}.before"
        )
    actions: list[Action] = [
        Write(there, unit(system=service.system, executable=executable, config=config)),
        Run(service.systemctl("daemon-reload")),
        Run(service.systemctl("enable", NAME)),
    ]
    return [*actions, Run(service.systemctl("restart", NAME))] if start else actions


def removing(service: Service, *, purge: bool) -> list[Action]:
    """What is to be done to undo it; with `purge` also what the service has made. Nothing where nothing is there."""
    builder = [service.unit_file.with_name(one) for one in BUILDER]
    written = [one for one in (service.unit_file, service.unit_file.with_name(f"{NAME}.d"), *builder) if one.exists()]
    data: list[Action] = [Delete(one) for one in service.data] if purge else []
    if not written:
        return data
    beside = [one.name for one in written if one.name in BUILDER]
    return [
        Run(service.systemctl("disable", "--now", NAME, *beside), may_fail=True),
        *(Delete(one) for one in written),
        Run(service.systemctl("daemon-reload")),
        Run(service.systemctl("reset-failed", NAME), may_fail=True),
        *data,
    ]


def configuration(service: Service) -> list[Path]:
    """What its owner has written for it, as far as that is known here: never deleted by us."""
    try:
        named = config_in(service.unit_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        named = None
    places = [named, SYSTEM_CONFIG.parent if service.system else None]
    return [one for one in places if one is not None and one.exists()]


def this_executable() -> Path:
    """The program `asit-edge` of this installation. Raises WrongUse where there is none."""
    program = Path(sys.prefix) / "bin" / "asit-edge"
    if not os.access(program, os.X_OK):
        raise WrongUse(f"{program}: is not there; install the package (pip install, pipx install), a service runs that")
    return program


def _seen_by_the_system(executable: Path, config: Path | None) -> None:
    """Raises WrongUse for what a unit that sees no home directory cannot run or read."""
    needed = [executable, Path(sys.executable).resolve(), Path(asit_edge.__file__).parent.resolve()]
    for path in needed:
        if any(path.is_relative_to(one) for one in HIDDEN):
            raise WrongUse(
                f"{path}: the system's service does not see home directories, nor /tmp. Install the package for all: "
                "sudo python3 -m venv /opt/asit-edge && sudo /opt/asit-edge/bin/pip install WHEEL; then "
                "sudo /opt/asit-edge/bin/asit-edge service install. Or have a service of your own: "
                "asit-edge service install --user"
            )
    if config and any(config.is_relative_to(one) for one in HIDDEN):
        raise WrongUse(
            f"{config}: the system's service does not see home directories, nor /tmp; it reads {SYSTEM_CONFIG}: "
            f"sudo install -D -m 644 {for_shell(config)} {SYSTEM_CONFIG}"
        )
