"""A model in another precision, and the record of what that cost: part of `bundle.yaml`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["fp32", "fp16", "int8"]
"""Of a model's weights and linear layers; inputs and outputs are float32 in all of them."""


class Gate(BaseModel):
    """What a variant was allowed to lose against the fp32 model, and what it lost, on real audio.

    Both have the same keys: `max_error` (largest difference of a probability), `relative_error` (of the logits, L2),
    `label_error` (of the label whose logits stray most, as a share of their spread: a dead label strays by 1),
    `top1_change` (share of decisions with another best class), `event_change` (share of decisions in which another set
    of classes is above its on-threshold) and, where the audio is labelled, `accuracy_loss` and `map_loss` of clips.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field(min_length=1, description="which audio, and how much of it")
    limits: dict[str, float]
    measured: dict[str, float]
    worst_layer: str = Field("", description="the layer that alone changes its output most, and by how much")
    unchecked: list[str] = Field(
        default_factory=list, description="labels that were active neither in that audio nor in the golden inputs"
    )

    @model_validator(mode="after")
    def _same_keys(self) -> "Gate":
        if unlimited := set(self.measured) - set(self.limits):
            raise ValueError(f"no limit for {min(unlimited)}")
        return self

    @property
    def failures(self) -> dict[str, tuple[float, float]]:
        """What is beyond its limit, or no number: name to (measured, limit)."""
        pairs = {name: (value, self.limits[name]) for name, value in self.measured.items()}
        return {name: (value, limit) for name, (value, limit) in pairs.items() if not value <= limit}

    @property
    def passed(self) -> bool:
        return not self.failures


class Variant(BaseModel):
    """The model in another precision, made from the fp32 file with the hash `made_from`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str | None = Field(
        None, description="of the file, where it does not travel with the bundle but is made on the device"
    )
    made_from: str = Field(description="SHA-256 of the fp32 file")
    golden_error: float = Field(ge=0, description="largest difference to the golden scores, where it was made")
    golden_label_error: float | None = Field(
        None, ge=0, description="of the label whose golden logits stray most, where it was made"
    )
    gate: Gate
