"""How warm the device is, where its platform tells: Linux' thermal zones."""

from pathlib import Path

ZONES = Path("/sys/class/thermal")

MOST_ZONES = 32
PLAUSIBLE = -60.0, 200.0
"""Degrees Celsius; what a sensor that is switched off says lies beyond."""


def temperatures(root: Path = ZONES) -> dict[str, float]:
    """Degrees Celsius by the platform's name of the zone, with its number where several have one name."""
    found: list[tuple[str, str, float]] = []
    for zone in sorted(root.glob("thermal_zone[0-9]*"), key=lambda one: (len(one.name), one.name))[:MOST_ZONES]:
        try:
            name = (zone / "type").read_text(encoding="utf-8", errors="replace").strip() or zone.name
            degrees = int((zone / "temp").read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue
        if PLAUSIBLE[0] < degrees < PLAUSIBLE[1]:
            found.append((name, zone.name.removeprefix("thermal_zone"), degrees))
    names = [name for name, _, _ in found]
    return {name if names.count(name) == 1 else f"{name} {number}": degrees for name, number, degrees in found}
