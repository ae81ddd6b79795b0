"""What a class is called: its display name, its AudioSet id, and a form that is safe in topics and file names."""

import re
import unicodedata

from pydantic import BaseModel, ConfigDict, Field


class Label(BaseModel):
    """One class of a model. `id` is AudioSet's (`/m/0bt9lr`) or, for a class of the user's own, its slug."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        min_length=1, max_length=500, description="display name, AudioSet's where the class is AudioSet's"
    )
    id: str = Field(min_length=1, max_length=500, description="AudioSet id, or the slug of a class of one's own")


def slug(name: str) -> str:
    """A name as lower-case ASCII letters, digits and underscores: "Crowing, cock-a-doodle-doo" to
    "crowing_cock_a_doodle_doo". Never empty, never a topic wildcard or separator.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return (
        re.sub(r"[^a-z0-9]+", "_", ascii_name.lower()).strip("_")
        or "x" + name.encode("utf-8", "surrogatepass").hex()[:16]
    )
