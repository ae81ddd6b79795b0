"""`teach` in config.yaml: what is kept for teaching sounds."""

from pydantic import Field

from asit_edge.config.section import Section


class TeachSettings(Section):
    """Sounds taught on this device need nothing here; corrections and this place's own background need a memory."""

    remember_hours: float = Field(
        0.0, ge=0, le=168, description="of every source, as directions from which no audio can be made; 0: nothing"
    )
