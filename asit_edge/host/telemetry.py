"""No library below tells anybody anything: a machine with a microphone does not phone home.

ONNX Runtime 1.29 and later reads this variable once, when it is first loaded; later is too late. So the packages' own
`__init__` calls this before anything else, and whatever was set before does not count. Child processes inherit it.
"""

import os


def switch_off() -> None:
    """Call before ONNX Runtime is imported anywhere."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
