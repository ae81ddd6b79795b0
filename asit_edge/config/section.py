"""What every section of the configuration is: closed against unknown keys, unchanging."""

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


File = Annotated[Path, AfterValidator(_at_home)]
"""A path; `~` is the user's home directory."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
