"""The service: installed, running, and started again at the next boot, where there is systemd."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient

RUNNING = Path("/run/systemd/system")
"""Is there where systemd is the system's first process."""

UNIT = "asit-edge"
PROPERTIES = "LoadState,ActiveState,SubState,UnitFileState,StatusText,NRestarts,Result"
ASK_SECONDS = 5.0

MANY_RESTARTS = 5


def look(patient: Patient) -> Iterator[Finding]:
    if not RUNNING.is_dir() or shutil.which("systemctl") is None:
        yield Finding("service", "ok", "there is no systemd here; whoever starts asit-edge listen keeps it running")
        return
    found = [finding for scope in ([], ["--user"]) if (finding := unit_finding(asked(scope), scope)) is not None]
    if not found:
        means = "" if patient.listener else "nobody listens unless somebody runs asit-edge listen"
        remedy = "asit-edge service install    # of your own; as root: of the system"
        found = [Finding("service", "ok", "not installed as a service", means, remedy)]
    elif found[0].grade == "ok" and patient.listener is None:
        # It has another user's state directory.
        found[0] = replace(
            found[0], remedy="sudo STATE_DIRECTORY=/var/lib/asit-edge asit-edge doctor    # its store, too"
        )
    yield from found


def asked(scope: list[str]) -> dict[str, str]:
    """What systemd says of the unit; nothing where it does not answer."""
    try:
        done = subprocess.run(
            ["systemctl", *scope, "show", UNIT, f"--property={PROPERTIES}"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def unit_finding(facts: Mapping[str, str], scope: list[str]) -> Finding | None:
    """What that means; None if there is no such unit."""
    if facts.get("LoadState") in (None, "", "not-found"):
        return None
    user = " ".join(scope)
    control = f"systemctl {user}" if user else "sudo systemctl"
    log = f"journalctl {user} -u {UNIT} -n 50".replace("  ", " ")
    active, text = facts.get("ActiveState", ""), facts.get("StatusText", "")
    if active == "failed":
        found = f"the service has failed ({facts.get('Result', '')})"
        return Finding("service", "wrong", found, "nobody listens", f"{log}    # says why")
    if active not in ("active", "activating", "reloading"):
        found = f"the service is installed, and {active or 'not active'}"
        return Finding("service", "warning", found, "nobody listens", f"{control} enable --now {UNIT}")
    restarts = int(number) if (number := facts.get("NRestarts", "")).isdecimal() else 0
    said = f"the service is {active}" + (f": {text}" if text else "")
    if active == "activating" or restarts >= MANY_RESTARTS:
        found = f"{said}; started again {restarts} time(s) since it was loaded"
        return Finding("service", "warning", found, "it ends again and again, or starts slowly", f"{log}    # says why")
    if facts.get("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated"):
        found = f"{said}; it is not enabled"
        return Finding("service", "warning", found, "after the next boot nobody listens", f"{control} enable {UNIT}")
    return Finding("service", "ok", said)
