"""Which backend serves at the moment, in which precision, and why: for whoever asks, in any thread."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Serves:
    """What runs the model."""

    backend: str
    """`onnxruntime cpu`, `onnxruntime cuda`, `onnxruntime openvino` or `tensorrt`."""
    precision: str
    why: str
    fallback: str = ""
    """What failed before, where this is not what should serve."""


class Serving:
    """Keeps what serves; it is replaced as a whole, so that no reader sees half of it."""

    def __init__(self) -> None:
        self.now: Serves | None = None
        """None until something serves."""

    def tell(self, backend: str, precision: str, why: str, fallback: str = "") -> None:
        self.now = Serves(backend, precision, without_folders(why), without_folders(fallback))


def without_folders(text: str) -> str:
    """Files by their names only: what is told here leaves the device."""
    return re.sub(r"(?<![\w/])/(?:[^\s/:;,()]+/)+", "", text)
