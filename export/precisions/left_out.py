"""Variants whose files do not travel with a bundle, made on the device from its fp32 file.

No audio is needed, and of the lab's packages only onnx.
"""

import tempfile
from pathlib import Path

import onnx

from asit_edge.errors import AsitEdgeError, WrongUse
from asit_edge.model.backends.build import refuse_damaged
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import load_bundle, sha256
from export.options import LOWER, Lower
from export.precisions.fp16 import to_fp16
from export.precisions.graph import load


def make_left_out(path: Path) -> list[Lower]:
    """Makes the variants of a bundle whose files did not travel with it, and returns which.

    Raises AsitEdgeError where what is made is not what the lab judged, to the byte, WrongUse where nothing is left out.
    """
    bundle = load_bundle(path)
    left_out = {name: one for name, one in bundle.manifest.variants.items() if one.sha256 is not None}
    if not left_out:
        raise WrongUse(f"{path}: has all of its models; to make others give recordings that judge them: --data AUDIO")
    missing = [LOWER[name] for name in left_out if name not in bundle.variants]
    for name in missing:
        file = path / left_out[name].file
        with tempfile.TemporaryDirectory(dir=path, prefix=".") as scratch:
            made = Path(scratch) / file.name
            onnx.save(to_fp16(load(bundle.at("fp32").model_file)), made)
            if sha256(made) != left_out[name].sha256:
                raise AsitEdgeError(
                    f"{file}: onnx {onnx.__version__} does not write what the lab judged, so it is not kept; another "
                    f"version may (pip install onnx==1.18), or judge it anew: --precision {name} --data AUDIO"
                )
            lowered = bundle.with_model(made)
            refuse_damaged(lowered, name, open_classifier(lowered))
            made.replace(file)
    return missing
