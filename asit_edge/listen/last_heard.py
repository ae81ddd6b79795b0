"""Until when every source was heard, kept on disk: the time between two runs of a listener is a gap like any other."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from asit_edge.errors import one_line
from asit_edge.host.files import owner_only, tighten

log = logging.getLogger(__name__)


class LastHeard:
    """Times in seconds since the epoch, by source, in a small JSON file that is always replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: dict[str, float] = {}
        self._fails = False
        tighten(path)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            self._times = {str(name): float(time) for name, time in values.items()}
        except FileNotFoundError:
            pass  # the first run
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s: cannot be read (%s); gaps since the last run are not told", path, one_line(error))

    def last(self, source: str) -> float | None:
        """When the source was heard last, by this run or the one before."""
        return self._times.get(source)

    def note(self, times: Mapping[str, float]) -> None:
        """These sources were heard until now. A full disk is survived: the next start then tells too long a gap."""
        self._times.update(times)
        fresh = self._path.with_suffix(".new")
        try:
            tighten(fresh)
            with open(fresh, "w", encoding="utf-8", opener=owner_only) as file:
                file.write(json.dumps(self._times))
            fresh.replace(self._path)
            self._fails = False
        except OSError as error:
            if not self._fails:  # said once, not every ten seconds
                log.warning("%s: cannot be written (%s)", self._path, one_line(error))
            self._fails = True
