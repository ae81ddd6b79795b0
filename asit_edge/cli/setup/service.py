"""`asit-edge service install|remove|status|logs`."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.examples import examples
from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, for_shell, readable

if TYPE_CHECKING:
    from asit_edge.service.actions import Action
    from asit_edge.service.installation import Service

app = typer.Typer(
    help="Listening as a service of systemd.",
    no_args_is_help=True,
    epilog=examples("service"),
    rich_markup_mode=None,
)

SystemOption = Annotated[
    bool | None,
    typer.Option(
        "--system/--user", help="The system's, for root; or your own, which has your microphones.", show_default=False
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command(epilog=examples("service install"))
def install(
    config: ConfigOption = None,
    system: SystemOption = None,
    start: Annotated[bool, typer.Option(help="Start it at once.")] = True,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Have systemd listen from now on and after every start; what is touched is said before."""
    from asit_edge.service.installation import installing, this_executable

    service = _service(system)
    config = config.absolute() if config else None
    load_config(config)  # what cannot be read is said here, not in a log
    if not _carried_out(installing(service, this_executable(), config, start=start), dry_run, yes):
        return
    print(f"done: {service.whose}; asit-edge service status says how it is doing")
    if not service.system:
        print("it runs while you are logged in; from the start of the machine: sudo loginctl enable-linger $USER")


@app.command(epilog=examples("service remove"))
def remove(
    system: SystemOption = None,
    purge: Annotated[
        bool, typer.Option("--purge", help="Also what the service has made: its store, taught sounds, caches.")
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Undo what install did; what is touched, and what stays, is said."""
    from asit_edge.service.installation import configuration, removing

    service = _service(system)
    actions, ours = removing(service, purge=purge), configuration(service)
    if not actions:
        print(f"nothing to remove: there is no {readable(service.unit_file)}")
    elif not _carried_out(actions, dry_run, yes):
        return
    kept = [] if purge else [one for one in service.data if not one.is_symlink()]
    if kept := [*kept, *ours]:
        sudo = "sudo " if service.system else ""
        print(f"what is yours stays; to delete it: {sudo}rm -r {' '.join(for_shell(one) for one in kept)}")


@app.command(epilog=examples("service status"))
def status(system: SystemOption = None) -> None:
    """Say how the service is doing; exit code 1 where it is not running."""
    from asit_edge.service.state import state

    found = state(_service(system))
    for line in found.lines:
        print(readable(line))
    if not found.active:
        raise typer.Exit(1)


@app.command(epilog=examples("service logs"))
def logs(
    system: SystemOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what comes.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many.")] = 50,
) -> None:
    """Show what the service has logged."""
    command = _service(system).journalctl("--lines", str(lines), *(["--follow"] if follow else ["--no-pager"]))
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        raise AsitEdgeError(f"{command[0]}: cannot be run ({error.strerror})") from None


def _service(system: bool | None) -> "Service":
    from asit_edge.service.installation import Service

    return Service(os.geteuid() == 0 if system is None else system)


def _carried_out(actions: "Sequence[Action]", dry_run: bool, yes: bool) -> bool:
    """Whether it was done; False where it was only to be told, or was not wanted. Raises AsitEdgeError."""
    from asit_edge.service.actions import carry_out

    print("would do:" if dry_run else "will do:")
    for action in actions:
        print(f"  {action}")
    if dry_run:
        return False
    if not yes and sys.stdin is not None and sys.stdin.isatty() and not typer.confirm("go on?", default=True):
        return False
    carry_out(actions)
    return True
