"""The envelope of every checkpoint: plain tensors, numbers and strings, whole or not there, read without running code.

A checkpoint says what it is (`format`, `kind`); what else it holds is the business of whoever made it.
"""

import argparse
import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save

from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from trainer.run.files import save_whole, write_whole

FORMAT = "asit-edge/1"

PRETRAINING = "pretraining"
"""Kind of the checkpoints of `trainer.pretrain`."""
OLD_PRETRAINING = "asit-edge pre-training 1"
"""Their format before they had a kind."""

RESUMING = ("raw", "optimiser", "projection", "data", "best")
"""What a checkpoint has only for its run to go on."""

PATHS = ("initial", "live", "features")
"""Settings that name files."""

NOTES = "asit-edge"
"""Key of a safetensors file's metadata under which a checkpoint has what is not weights, as JSON."""


def save_checkpoint(path: Path, kind: str, content: dict[str, Any]) -> None:
    """A full disk or a kill leaves the previous file as it was. Raises AsitEdgeError if it cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole({"format": FORMAT, "kind": kind, **content}, path)


def save_portable(path: Path, content: dict[str, Any]) -> None:
    """A checkpoint's content without what only its own run needs, as safetensors: weights in float16, the rest as JSON.

    Of settings that name files, only the files' names are kept. Every command reads it as it reads a checkpoint.
    """
    rest = {key: value for key, value in content.items() if key not in (*RESUMING, "model")}
    config = {key: _file_names(value) if key in PATHS else value for key, value in rest["config"].items()}
    notes = {"format": FORMAT, **rest, "config": config}
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in content["model"].items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, save(weights, {NOTES: json.dumps(notes)}))


def _file_names(value: Any) -> Any:
    """Of a path, or of a list of them; nothing stays what it is."""
    if isinstance(value, list):
        return [Path(one).name for one in value]
    return Path(value).name if value else value


def load_checkpoint(path: Path, kind: str) -> dict[str, Any]:
    """The content of a checkpoint of that kind. Raises WrongUse or AsitEdgeError, naming the file."""
    content = read_content(path)
    if content.get("kind") != kind:
        raise AsitEdgeError(f"{path}: is a {content.get('kind')!r} checkpoint, not {kind!r}")
    return content


def checkpoint_kind(path: Path) -> str:
    """Which command made it. Raises WrongUse or AsitEdgeError, naming the file."""
    return str(read_content(path).get("kind"))


def read_content(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours, of whatever kind, holds. Raises WrongUse or AsitEdgeError, naming the file."""
    content = read_file(path)
    if content.get("format") != FORMAT:
        raise AsitEdgeError(f"{path}: not an asit-edge checkpoint (no format {FORMAT!r})")
    return content


@contextmanager
def made_by_this_version(path: Path) -> Iterator[None]:
    """Around what takes a checkpoint's content apart: AsitEdgeError, naming the file, where something does not fit."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AsitEdgeError(f"{path}: made by another version of the trainer ({one_line(error)[:200]})") from None


def read_file(path: Path) -> dict[str, Any]:
    """What a file of weights, ours or anybody's, holds, loaded to the CPU. Errors name the file."""
    if not path.is_file():
        raise WrongUse(f"{path}: no such checkpoint")
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        # The authors' files carry their command line beside the weights, a Namespace of plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise AsitEdgeError(f"{path}: not a readable checkpoint ({_first_line(error)})") from None
    except safetensors.SafetensorError as error:
        raise AsitEdgeError(f"{path}: not a readable safetensors file ({_first_line(error)})") from None
    if not isinstance(content, Mapping):
        raise AsitEdgeError(f"{path}: holds a {type(content).__name__}, not named weights")
    if content.get("format") == OLD_PRETRAINING:
        return {**content, "format": FORMAT, "kind": PRETRAINING}
    return dict(content)


def _safetensors(path: Path) -> dict[str, Any]:
    """Bare named weights, or what `save_portable` wrote, in the form of a checkpoint."""
    with safetensors.safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        notes = (file.metadata() or {}).get(NOTES)
    if notes is None:
        return weights
    wide = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    return {**json.loads(notes), "model": wide}


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
