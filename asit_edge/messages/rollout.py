"""The answer to a configuration that came from afar."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Configured(BaseModel):
    """What became of what came from afar, told whenever that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(1, alias="schema")
    device: str
    serial: int = Field(ge=0, description="of the newest that was considered; 0: none was")
    state: Literal["none", "trial", "applied", "refused", "rolled_back"] = Field(description="what became of it")
    reason: str = Field(description="why it is not in force; empty if it is")
    in_force: int = Field(ge=0, description="serial of what is kept, whatever is on trial; 0: the file alone")
    model: str = Field(description="name of the bundle that is kept with it; empty: the one of the file")

    def to_json(self) -> str:
        """One line, the fields always in the same order."""
        return self.model_dump_json(by_alias=True)
