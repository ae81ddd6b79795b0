"""From a checkpoint to ONNX (opset 18, which TensorRT 10.3 on JetPack 6 reads), with proof that both agree.

`python -m export.onnx CKPT FILE` writes the bare model, for other runtimes than ours; `export.bundle` is for devices.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import onnxruntime
import torch
import typer
from torch import nn

from asit_edge.errors import AsitEdgeError
from export.graph import NAME_SCOPES
from trainer.evaluation.scoring import decision_steps
from trainer.finetuning.config import FinetuneConfig
from trainer.models.classifier import Network, Scores
from trainer.run.command import run
from trainer.students.student import DeviceStream

OPSET = 18
TOLERANCE = 1e-4
"""Largest difference between a probability from torch and the same one from ONNX Runtime."""


def export_onnx(model: Network, config: FinetuneConfig, file: Path) -> None:
    """Writes a fine-tuned model as the device runs it: `log_mel` (batch, frames, mels) to `scores` (batch, classes)."""
    export_windows(Scores(model, decision_steps(config)), config.frames, config.spec.mels, file)


def export_windows(model: nn.Module, frames: int, mels: int, file: Path) -> None:
    """Writes any network from log-mel windows to probabilities."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    _write(model.eval(), (torch.zeros(2, frames, mels),), file, ["log_mel"], ["scores"], ({0: batch},))


def export_stream(device: DeviceStream, file: Path) -> None:
    """Writes one step of a student: `log_mel` and caches to `scores` (batch, steps, classes) and `next_` caches.

    Shapes are static but for the batch, one row a stream; names and shapes are those of `cache_shapes`.
    """
    model, names = device.model, device.cache_names
    batch = torch.export.Dim("batch", min=1, max=1024)
    caches = model.empty_memory(batch=2)
    example = torch.zeros(2, model.config.frames, model.config.mels)
    shapes = {"log_mel": {0: batch}, "caches": tuple({0: batch} for _ in caches)}
    outputs = ["scores", *(f"next_{name}" for name in names)]
    _write(device.eval(), (example, *caches), file, ["log_mel", *names], outputs, shapes)


def cache_shapes(device: DeviceStream) -> dict[str, list[int]]:
    """Shape of each cache without the batch, by name, in the order of the model's inputs."""
    return {
        name: list(cache.shape[1:]) for name, cache in zip(device.cache_names, device.model.empty_memory(), strict=True)
    }


def _write(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    file: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic_shapes: Any,
) -> None:
    # The exporter chats on stdout and warns about its own internals; neither helps whoever exports a model.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            file,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=dynamic_shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    onnx.save(_without_source(onnx.load(str(file))), str(file))


def _without_source(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops what the exporter writes about the source of each node: lines and paths of the exporting machine.

    Names of modules stay: reports of lost precision speak of them. Shapes of what is computed go: every reader finds
    them itself.
    """
    for node in model.graph.node:
        scopes = [entry for entry in node.metadata_props if entry.key == NAME_SCOPES]
        del node.metadata_props[:]
        node.metadata_props.extend(scopes)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    return model


def parity(model: Network, file: Path, windows: np.ndarray, steps: int = 1) -> float:
    """`windows_parity` of a fine-tuned model."""
    return windows_parity(Scores(model, steps), file, windows)


def windows_parity(model: nn.Module, file: Path, windows: np.ndarray) -> float:
    """The largest difference of scores between torch and ONNX Runtime on windows (n, frames, mels).

    Raises AsitEdgeError if it is above TOLERANCE, alone or in batches.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = model.eval()(torch.from_numpy(windows)).numpy()
    together = session.run(None, {"log_mel": windows})[0]
    alone = np.concatenate([session.run(None, {"log_mel": window[None]})[0] for window in windows])
    return _checked(file, max(np.abs(together - expected).max(), np.abs(alone - expected).max()))


def stream_parity(device: DeviceStream, file: Path, log_mel: np.ndarray) -> float:
    """The largest difference of scores between torch over whole streams (n, frames, mels) and ONNX step by step.

    The streams begin after silence. Raises AsitEdgeError if it is above TOLERANCE, alone or in batches.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    frames = device.model.config.frames
    silence = device.model.silent_memory()
    with torch.inference_mode():
        memory = [cache.expand(len(log_mel), *cache.shape[1:]) for cache in silence]
        expected = device(torch.from_numpy(log_mel), *memory)[0].numpy()

    def by_steps(streams: np.ndarray) -> np.ndarray:
        caches = {
            name: np.repeat(cache.numpy(), len(streams), axis=0)
            for name, cache in zip(device.cache_names, silence, strict=True)
        }
        scores = []
        for start in range(0, streams.shape[1], frames):
            step, *following = session.run(None, {"log_mel": streams[:, start : start + frames], **caches})
            caches = dict(zip(device.cache_names, following, strict=True))
            scores.append(step)
        return np.concatenate(scores, axis=1)

    alone = np.concatenate([by_steps(stream[None]) for stream in log_mel])
    return _checked(file, max(np.abs(by_steps(log_mel) - expected).max(), np.abs(alone - expected).max()))


def _checked(file: Path, difference: float) -> float:
    if not difference <= TOLERANCE:
        raise AsitEdgeError(
            f"{file}: the ONNX model does not compute what the checkpoint does (scores differ by {difference:.2g}, "
            f"allowed are {TOLERANCE:g}); no bundle was written"
        )
    return float(difference)


def fix_batch(model: onnx.ModelProto, batch: int) -> None:
    """Makes the batch of every input and output a number, for engines that want static shapes only."""
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill.")],
    out: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    batch: Annotated[int | None, typer.Option(min=1, help="A fixed batch; without it the batch is dynamic.")] = None,
) -> None:
    """Write a checkpoint as a bare ONNX model; nothing is written unless it computes what the checkpoint does."""
    from export.bundle import write_bundle  # which is made of this module's parts

    with tempfile.TemporaryDirectory() as scratch:
        write_bundle(checkpoint, Path(scratch) / "bundle", "model", "0", "unknown", {}, 0.5, 0.3)
        model = onnx.load(str(Path(scratch) / "bundle" / "model.onnx"))
    if batch is not None:
        fix_batch(model, batch)
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(out))
    names = [entry.name for entry in model.graph.input]
    print(f"wrote {out}: opset {OPSET}, inputs {', '.join(names)}, batch {batch or 'dynamic'}")


if __name__ == "__main__":
    run("export.onnx", main)
