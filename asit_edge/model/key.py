"""Which model something that is kept on this device belongs to."""

from pydantic import BaseModel, ConfigDict, Field

from asit_edge.model.bundle import MODEL, Manifest


class ModelKey(BaseModel):
    """Which model something on this device belongs to: another model's scores and embeddings mean something else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    sha256: str = Field(description="of its model.onnx")


def model_key(manifest: Manifest) -> ModelKey:
    return ModelKey(name=manifest.name, version=manifest.version, sha256=manifest.files[MODEL])
