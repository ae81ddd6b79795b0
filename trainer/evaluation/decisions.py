"""A recording through the device's own scorer, from its first sample to the silence after its end."""

import numpy as np
import numpy.typing as npt

from asit_edge.detect.chunker import Decision, Scorer
from asit_edge.model.classifier import Classifier
from asit_edge.model.front_ends import AnyFrontEnd

Samples = npt.NDArray[np.float32]


def decisions(classifier: Classifier, front_end: AnyFrontEnd, samples: Samples) -> list[Decision]:
    """Every decision on samples (n,) at the front end's rate, as a device makes them one after the other."""
    scorer = Scorer(front_end, classifier, front_end.sample_rate)
    return [*scorer.push(samples), *scorer.flush()]


def decision_scores(classifier: Classifier, front_end: AnyFrontEnd, samples: Samples) -> Samples:
    """Their scores, (decisions, classes)."""
    return np.stack([decision.scores for decision in decisions(classifier, front_end, samples)])
