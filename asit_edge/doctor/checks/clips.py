"""The folder of clips, where they are asked for."""

from collections.abc import Iterator

from asit_edge.doctor.checks.storage import folder_finding
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient


def look(patient: Patient) -> Iterator[Finding]:
    clips = patient.config.clips
    if not clips.enabled:
        yield Finding("clips", "ok", "none are kept")
        return
    yield folder_finding("clips", clips.effective_folder, "no clip can be kept")
