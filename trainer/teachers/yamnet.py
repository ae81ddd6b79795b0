"""YAMNet as its users have it: Google's TFLite file and class map, run by `ai-edge-litert` (an optional package)."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asit_edge.errors import AsitEdgeError, WrongUse, one_line

RATE = 16_000
WINDOW = 15_600
"""Samples that it looks at, 0.975 s."""
HOP = 7_680
"""Samples between its windows where it is a teacher, 0.48 s."""
CLASS_MAP = "yamnet_class_map.csv"


class YamNet:
    """Waveforms of 0.975 s at 16 kHz to probabilities of 521 AudioSet classes, on one thread."""

    rate = RATE
    window = WINDOW
    hop = HOP

    def __init__(self, file: Path) -> None:
        """`file` is the TFLite model; its class map must be beside it. Raises WrongUse or AsitEdgeError."""
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise WrongUse(
                f"{file}: TFLite models need the package ai-edge-litert (pip install ai-edge-litert)"
            ) from None
        try:
            with (file.parent / CLASS_MAP).open(newline="", encoding="utf-8") as table:
                self.labels = [row["display_name"] for row in csv.DictReader(table)]
            self._interpreter = Interpreter(str(file), num_threads=1)
            self._interpreter.allocate_tensors()
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise AsitEdgeError(f"{file}: cannot be used as YAMNet ({one_line(error)})") from None
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]["index"]
        if list(self._input["shape"]) != [WINDOW]:
            raise AsitEdgeError(f"{file}: takes {self._input['shape']}, YAMNet takes {WINDOW} samples")

    def score(self, waveforms: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(windows, 15,600) in -1 to 1 to (windows, 521)."""
        scores = []
        for waveform in waveforms:
            self._interpreter.set_tensor(self._input["index"], waveform.astype(np.float32))
            self._interpreter.invoke()
            scores.append(self._interpreter.get_tensor(self._output).reshape(-1).copy())
        return np.stack(scores)
