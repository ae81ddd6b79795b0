"""What every section of the configuration is: closed against unknown keys, unchanging."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Goes into topics and ids: letters, digits, `_` and `-`."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
