"""`clips` in config.yaml: recordings of events, for who wants to hear what was heard."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from asit_edge.config.secrets import has_secret
from asit_edge.config.section import File, Section
from asit_edge.host.directories import state_directory


class Clips(Section):
    """Nothing is recorded unless `enabled`."""

    enabled: bool = False
    folder: File | None = Field(None, description="null: clips in the state directory")
    format: Literal["flac", "opus"] = "flac"
    before: float = Field(5.0, ge=0, le=60, description="seconds before the sound")
    after: float = Field(2.0, ge=0, le=60, description="seconds after it")
    max_seconds: float = Field(60.0, ge=1, le=600, description="of a clip in all; what sounds longer is cut off there")
    labels: list[str] | None = Field(None, description="null: all that are reported")
    min_score: float = Field(0.0, ge=0, le=1, description="an event whose score stays below has no clip")
    speech: Literal["keep", "never"] = Field("keep", description="never: no clip in which, or near which, speech is")
    speech_score: float = Field(0.1, gt=0, lt=1, description="from which on a sound may be speech, where it is never")
    max_days: float | None = Field(30.0, gt=0, le=36_500, description="older clips are removed; null: however old")
    max_mb: float = Field(1_000.0, ge=1, description="of all clips; beyond it the oldest are removed")
    min_free_mb: float = Field(200.0, ge=0, description="of the disk; below it the oldest are removed")
    base_url: str | None = Field(None, description="what stands before a clip's path in messages; null: nothing")

    @model_validator(mode="after")
    def _room_for_the_sound(self) -> "Clips":
        if self.max_seconds <= self.before:
            raise ValueError(
                f"max_seconds ({self.max_seconds:g}) must be more than before ({self.before:g}), "
                "or else the sound itself would not be in its clip"
            )
        return self

    @field_validator("base_url")
    @classmethod
    def _public(cls, url: str | None) -> str | None:
        # It goes into messages; what is wrong with it may be a password, and is not repeated.
        if url is not None and (
            not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url) or has_secret(url) or len(url) > 1_000
        ):
            raise ValueError(
                "must be an address such as http://hall.local:8080/clips, without user, password and query"
            )
        return url

    @property
    def effective_folder(self) -> Path:
        return self.folder or state_directory() / "clips"

    def address(self, path: str) -> str:
        """What messages say of a clip: its path below the folder, or its URL where `base_url` is given."""
        return f"{self.base_url.rstrip('/')}/{path}" if self.base_url else path
