"""What a check has found: in words for the user, and as JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from asit_edge.errors import decodable

Grade = Literal["ok", "warning", "wrong"]
"""`wrong`: something that is asked for does not work. `warning`: it works, and may not do what is wanted."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `check` is what was looked at, such as `broker` or `source microphone`."""

    check: str
    grade: Grade
    found: str
    means: str = ""
    """What follows for listening; empty where that is plain."""
    remedy: str = ""
    """What to type or to change; empty where there is nothing to do."""

    def to_json(self) -> str:
        """One line, the fields always in the same order."""
        return json.dumps({name: decodable(text) for name, text in asdict(self).items()}, ensure_ascii=False)
