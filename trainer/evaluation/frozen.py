"""What the features of a frozen backbone are worth: features of whole clips, and simple classifiers on them.

Every classifier is tested on each fold in turn and made of the others.
"""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from asit_edge.audio.samples import Samples
from asit_edge.errors import WrongUse
from asit_edge.model.frontend import FrontEnd, log_mel
from trainer.data.clips.batches import clip_windows
from trainer.data.layouts.esc50 import read_esc50
from trainer.models.vit import ViT

ONLINE_STRENGTH = 1e-2
"""Where a probe must not take long: none is chosen."""

Features = npt.NDArray[np.float32]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of regularisation to choose from, for standardised features."""

NEIGHBOURS = 10


def clip_features(backbone: ViT, clips: Sequence[Samples], spec: FrontEnd, batch: int = 32) -> Features:
    """Waveforms at the front end's rate to (clips, 2 * width): class token and mean patch token.

    A clip is seen through windows of the length that the backbone was made for, every half window; its features are
    their mean. What is missing of a window is silence.
    """
    backbone = backbone.eval()
    device = backbone.pos_embed.device
    windows: list[npt.NDArray[np.float32]] = []
    owner: list[int] = []
    for index, clip in enumerate(clips):
        for window in clip_windows(clip, spec, backbone.config.frames):
            windows.append(window)
            owner.append(index)
    features = []
    with torch.inference_mode():
        for first in tqdm(range(0, len(windows), batch), "features", disable=not sys.stderr.isatty()):
            log_mels = np.stack([log_mel(spec, window) for window in windows[first : first + batch]])
            tokens = backbone(torch.from_numpy(log_mels).to(device))
            features.append(torch.cat((tokens[:, 0], tokens[:, 1:].mean(dim=1)), dim=1).float().cpu().numpy())
    sums = np.zeros((len(clips), 2 * backbone.config.width), np.float32)
    np.add.at(sums, owner, np.concatenate(features))
    counts = np.bincount(owner, minlength=len(clips)).astype(np.float32)
    return (sums / counts[:, None]).astype(np.float32)


def log_mel_statistics(clips: Sequence[Samples], spec: FrontEnd) -> Features:
    """Mean and deviation over time of each bin of clips, (clips, 2 * mels)."""
    images = [log_mel(spec, np.pad(clip, (0, max(spec.window - len(clip), 0)))) for clip in clips]
    return np.stack([np.concatenate((image.mean(axis=0), image.std(axis=0))) for image in images])


def probe_folds(
    features: Features,
    classes: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    strengths: Sequence[float] = STRENGTHS,
) -> dict[int, float]:
    """Accuracy on each fold of a probe that was trained on the others. Raises WrongUse for fewer than three folds."""
    names = sorted({int(fold) for fold in folds})
    if len(names) < 3:
        raise WrongUse(f"a probe needs three folds (test, choice of regularisation, training); the data has {names}")
    return {fold: _probe(features, classes, folds, fold, strengths) for fold in names}


def _probe(
    features: Features,
    classes: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
    test: int,
    strengths: Sequence[float],
) -> float:
    others = [int(fold) for fold in np.unique(folds) if fold != test]

    def accuracy(strength: float, train: npt.NDArray[np.bool_], on: npt.NDArray[np.bool_]) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[train], classes[train])
        return float(model.score(features[on], classes[on]))

    def inner(strength: float) -> float:
        return float(np.mean([accuracy(strength, (folds != test) & (folds != fold), folds == fold) for fold in others]))

    best = max(strengths, key=inner) if len(strengths) > 1 else strengths[0]
    return accuracy(best, folds != test, folds == test)


def neighbours_folds(
    features: Features, classes: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> dict[int, float]:
    """Accuracy on each fold of the majority of the NEIGHBOURS nearest clips of other folds, by the cosine of features
    about their mean. Raises WrongUse for fewer than two folds."""
    names = sorted({int(fold) for fold in folds})
    if len(names) < 2:
        raise WrongUse(f"neighbours need two folds; the data has {names}")
    centred = features - features.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    one_hot = np.eye(int(classes.max()) + 1)[classes]
    accuracies = {}
    for fold in names:
        test, train = folds == fold, folds != fold
        similarity = centred[test] @ centred[train].T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEIGHBOURS]
        votes = one_hot[train][nearest].sum(axis=1)
        accuracies[fold] = float((votes.argmax(axis=1) == classes[test]).mean())
    return accuracies


class ProbeClips:
    """Labelled clips on which a network is probed while it is pre-trained."""

    def __init__(self, folder: Path, spec: FrontEnd) -> None:
        """`folder` is in ESC-50's layout. Raises AsitEdgeError where it, or a clip, cannot be read, WrongUse where it
        has fewer than three folds."""
        dataset = read_esc50(folder)
        if len(dataset.folds) < 3:
            raise WrongUse(f"{folder}: a probe needs three folds; the data has {dataset.folds}")
        self._spec = spec
        self._clips = dataset.load(spec.sample_rate)
        self._classes = dataset.targets.argmax(axis=1)
        self._folds = np.array([one.fold for one in dataset.recordings])

    def accuracies(self, backbone: ViT) -> dict[str, float]:
        """Mean over the folds of both probes, by the names of metrics. Draws no random number."""
        features = clip_features(backbone, self._clips, self._spec)
        neighbours = neighbours_folds(features, self._classes, self._folds)
        linear = probe_folds(features, self._classes, self._folds, (ONLINE_STRENGTH,))
        return {
            "probe/neighbours": float(np.mean(list(neighbours.values()))),
            "probe/linear": float(np.mean(list(linear.values()))),
        }
