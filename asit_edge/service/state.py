"""How a service is doing, as systemd says."""

from typing import NamedTuple

from asit_edge.errors import AsitEdgeError, one_line
from asit_edge.service.actions import execute
from asit_edge.service.installation import Service
from asit_edge.service.unit import NAME

PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "StatusText", "MainPID", "NRestarts", "Result")


class State(NamedTuple):
    active: bool
    lines: list[str]
    """For people."""


def state(service: Service) -> State:
    """Raises AsitEdgeError where systemd cannot be asked."""
    done = execute(service.systemctl("show", NAME, f"--property={','.join(PROPERTIES)}"))
    if done.returncode:
        raise AsitEdgeError(f"systemctl: {one_line(done.stderr)}")
    said = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    if said.get("LoadState") == "not-found":
        word = "system" if service.system else "user"
        return State(False, [f"not installed; asit-edge service install --{word} does it"])
    lines = [
        f"{service.whose}: {said['ActiveState']} ({said['SubState']}), {said['UnitFileState'] or 'not enabled'}",
        f"unit: {service.unit_file}",
    ]
    if said["StatusText"]:
        lines.append(f"sources: {said['StatusText']}")
    if said["MainPID"] != "0":
        lines.append(f"process: {said['MainPID']}, started again {said['NRestarts']} time(s)")
    if said["Result"] not in ("success", ""):
        lines.append(f"last result: {said['Result']}; asit-edge service logs shows why")
    return State(said["ActiveState"] == "active", lines)
