"""What is lost when things go wrong: a real `asit-edge listen` and a real mosquitto under one fault after the other.

    python -m bench.chaos
    python -m bench.chaos kills flaps

Prints for each fault how many events were committed to the store, how many of them came to a subscriber at the broker
(their `new`) and ended there (their `end`), how many messages came twice, and how many gaps were told. Exit code 1 if
an event that was committed did not arrive, or did not end. The clock is wrong within the listener's process only.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from asit_edge.errors import AsitEdgeError
from bench.chaos.faults import FAULTS, Fault
from bench.chaos.station import Counts, Station

COLUMNS = ("fault", "starts", "committed", "arrived", "ended", "came twice", "gaps told", "seconds")


def line(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def count(fault: Fault, folder: Path) -> tuple[Counts, int]:
    """What became of the events under a fault, and how often a listener was started."""
    with Station(folder, **fault.station) as station:
        fault.happen(station)
        return station.settle(), station.starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}; none: all of them")
    parser.add_argument("--keep", type=Path, help="a folder in which logs and stores stay")
    own = parser.parse_args()
    if unknown := set(own.faults) - set(FAULTS):
        parser.error(f"no fault {min(unknown)!r}; there are {', '.join(FAULTS)}")
    line(*COLUMNS)
    line(*["---"] * len(COLUMNS))
    bad = []
    for name in own.faults or FAULTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as temporary:
            folder = own.keep / name if own.keep else Path(temporary)
            try:
                counts, starts = count(FAULTS[name], folder)
            except (AssertionError, AsitEdgeError) as error:
                line(FAULTS[name].words, *["-"] * (len(COLUMNS) - 2), str(error).splitlines()[0])
                bad.append(name)
                continue
        line(FAULTS[name].words, starts, *counts, round(time.monotonic() - began))
        if counts.lost:
            bad.append(name)
    if bad:
        print(f"NOT ALL OF IT ARRIVED AND ENDED: {', '.join(bad)}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
