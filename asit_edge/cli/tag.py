"""`asit-edge tag`: scores of whole clips."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption, ModelOption, load_settings
from asit_edge.errors import AsitEdgeError, decodable, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from asit_edge.assembly import Model


def tag(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    config: ConfigOption = None,
    model: ModelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One file a line, as JSON.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many labels.")] = 5,
) -> None:
    """Score whole clips: which labels fit, the best first. Files that cannot be read are named; the rest are scored."""
    from asit_edge.assembly import load_model

    loaded = load_model(load_settings(config, model), calibrated=False)
    names = [label.name for label in loaded.manifest.labels]
    worst = 0
    for file in files:
        try:
            scores = score_file(file, loaded)
        except AsitEdgeError as error:
            print(f"asit-edge: error: {readable(error)}", file=sys.stderr)
            worst = max(worst, error.exit_code)
            continue
        best = sorted(range(len(names)), key=lambda index: -scores[index])[:top]
        if as_json:
            ranked = [{"label": names[index], "score": round(float(scores[index]), 4)} for index in best]
            print(json.dumps({"file": decodable(file), "scores": ranked}, ensure_ascii=False), flush=True)
        else:
            print(
                f"{readable(file)}: " + ", ".join(f"{names[index]} {scores[index]:.2f}" for index in best), flush=True
            )
    if worst:
        raise typer.Exit(worst)


def score_file(path: Path, model: "Model") -> "npt.NDArray[np.float32]":
    """Scores of one file, shape (classes,). Raises AsitEdgeError if it cannot be read."""
    from asit_edge.audio.sources.audio_file import AudioFile
    from asit_edge.detect.clip_scores import running_clip_scores

    audio = AudioFile(path)
    scorer = model.scorer(audio.rate)

    def decisions() -> "Iterator[npt.NDArray[np.float32]]":
        for samples in audio.mono(audio.rate):
            yield from (decision.scores for decision in scorer.push(samples))
        yield from (decision.scores for decision in scorer.flush())

    try:
        scores = running_clip_scores(decisions())
    finally:
        audio.close()
    if scores is None:
        raise AsitEdgeError(f"{path}: too short to score")
    return scores
