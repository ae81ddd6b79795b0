"""torchaudio's pure-torch parts, also where its native library does not fit the torch that is installed.

Its wheels are built for one CUDA version; beside another torch the import fails. A stand-in for its extension loader
then makes what needs no native code importable. Import torchaudio's functions from here and nowhere else.
"""

import sys
import types

try:
    import torchaudio  # noqa: F401
except (ImportError, OSError, RuntimeError):
    for _name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[_name]
    _extension = types.ModuleType("torchaudio._extension")
    _extension.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda function: function
    )
    sys.modules["torchaudio._extension"] = _extension

from torchaudio.compliance.kaldi import fbank
from torchaudio.functional import fftconvolve

__all__ = ["fbank", "fftconvolve"]
