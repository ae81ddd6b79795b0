"""Files that are always whole."""

import os
import tempfile
from pathlib import Path

from asit_edge.errors import AsitEdgeError


def write_whole(file: Path, content: bytes) -> None:
    """Replaces a file in one step, also across a power cut. Raises AsitEdgeError if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as partial:
            try:
                partial.write(content)
                partial.flush()
                os.fsync(partial.fileno())
                os.replace(partial.name, file)
            except BaseException:
                Path(partial.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise AsitEdgeError(f"{file}: cannot be written ({error.strerror})") from None
