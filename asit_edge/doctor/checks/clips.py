"""The folder of clips, where they are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asit_edge.doctor.checks.storage import folder_finding
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient


def look(patient: Patient) -> Iterator[Finding]:
    clips: Any = getattr(patient.config, "clips", None)
    if clips is None or not clips.enabled:
        yield Finding("clips", "ok", "none are kept")
        return
    folder: Path = clips.effective_folder
    yield folder_finding("clips", folder, "no clip can be kept")
