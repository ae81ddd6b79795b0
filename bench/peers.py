"""What another detector makes of labelled recordings: `python bench/peers.py yamnet.tflite DATA [--part N]`.

YAMNet hears 0.975 s every 0.48 s, as Frigate runs it; a window's scores count for the 0.48 s that it ends with.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from asit_edge.frontend import FrontEnd
from asit_edge.pipeline import Decision
from trainer.audioset import label_for
from trainer.crops import Samples
from trainer.detection import Timeline
from trainer.evaluate import choose_part, evaluate, plain, table
from trainer.layouts.detect import read_any
from trainer.scoring import OFF, ON, Model, event_settings
from trainer.yamnet import HOP, RATE, WINDOW, YamNet


class YamNetModel(Model):
    """YAMNet behind the lab's evaluation."""

    @staticmethod
    def open(file: Path) -> "YamNetModel":
        network = YamNet(file)
        labels = [label_for(name) for name in network.labels]
        classes = event_settings([(ON, OFF)] * len(labels), RATE)
        return YamNetModel("yamnet", labels, FrontEnd(), network, classes, {})  # type: ignore[arg-type]

    def decisions(self, samples: Samples) -> list[Decision]:
        """One for every 0.48 s, the last of the silence that follows."""
        count = -(-len(samples) // HOP)
        padded = np.zeros(WINDOW + count * HOP, np.float32)
        padded[WINDOW : WINDOW + len(samples)] = samples
        windows = [padded[(step + 1) * HOP : (step + 1) * HOP + WINDOW] for step in range(count)]
        scores = self.classifier.score(np.stack(windows))  # type: ignore[attr-defined]
        return [Decision(step * HOP, (step + 1) * HOP, row) for step, row in enumerate(scores)]

    def timeline(self, samples: Samples) -> Timeline:
        decisions = self.decisions(samples)
        edges = [one.start for one in decisions] + [min(decisions[-1].end, len(samples))]
        return Timeline(np.array(edges) / RATE, np.stack([one.scores for one in decisions]))

    def clip(self, samples: Samples) -> Samples:
        return np.mean([one.scores for one in self.decisions(samples)], axis=0)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--part")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    dataset = read_any(options.data)
    chosen = choose_part(dataset, options.part) if options.part else dataset
    _, results = evaluate(YamNetModel.open(options.model), chosen, others=False)
    print(json.dumps(plain(results)) if options.json else table(results))


if __name__ == "__main__":
    main()
