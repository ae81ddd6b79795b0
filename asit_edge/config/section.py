"""What every section of the configuration is: closed against unknown keys, unchanging."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Goes into topics and ids: letters, digits, `_` and `-`."""


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("~ stands for a home directory, and this user has none; write the whole path") from None


def _possible(path: Path) -> Path:
    if len(os.fsencode(path)) > PATH_BYTES or any(len(os.fsencode(part)) > NAME_BYTES for part in path.parts):
        raise ValueError(f"no file can have such a long name (up to {NAME_BYTES} bytes, the whole path {PATH_BYTES})")
    return path


def _named(path: Path) -> Path:
    if path.name in ("", ".."):
        raise ValueError("must name a file, not only a folder")
    if len(os.fsencode(path.name)) > NAME_BYTES - BESIDE:
        raise ValueError(f"the file's name is too long; other files beside it have longer ones (up to {BESIDE} bytes)")
    return path


NAME_BYTES, PATH_BYTES = 255, 4_000
"""The longest name of a file, and of a whole path, that Linux takes."""

BESIDE = 55
"""Bytes kept free in a name: `events.db` has `events.db.damaged-20260101T000000Z` beside it."""

File = Annotated[Path, AfterValidator(_at_home), AfterValidator(_possible)]
"""A path; `~` is the user's home directory."""

NewFile = Annotated[File, AfterValidator(_named)]
"""A path of a file that is made, with others beside it."""

Seconds = Annotated[float, Field(ge=0, le=1e9)]
"""How long something lasts: up to 31 years, which can still be counted in samples."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
