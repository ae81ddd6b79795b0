"""From networks to ONNX files (opset 18, which TensorRT 10.3 on JetPack 6 reads): windows, or one step of a stream."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from asit_edge.model.bundle import EMBEDDING
from export.precisions.graph import NAME_SCOPES
from trainer.models.device import StreamStep

OPSET = 18


def export_windows(model: nn.Module, frames: int, mels: int, file: Path) -> None:
    """Writes any network from log-mel windows to probabilities."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    _write(model.eval(), (torch.zeros(2, frames, mels),), file, ["log_mel"], ["scores"], ({0: batch},))


def export_waveforms(model: nn.Module, samples: int, file: Path) -> None:
    """Writes any network from waveforms (batch, samples) to scores (batch, classes)."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    _write(model.eval(), (torch.zeros(2, samples),), file, ["waveform"], ["scores"], ({0: batch},))


def export_stream(device: StreamStep, file: Path) -> None:
    """Writes one step of a student: `log_mel` and caches to `scores` (batch, steps, classes), `embedding` (batch,
    numbers) and `next_` caches.

    Shapes are static but for the batch, one row a stream; names and shapes are those of `cache_shapes`.
    """
    model, names = device.model, device.cache_names
    batch = torch.export.Dim("batch", min=1, max=1024)
    caches = model.empty_memory(batch=2)
    example = torch.zeros(2, model.config.frames, model.config.mels)
    shapes = {"log_mel": {0: batch}, "caches": tuple({0: batch} for _ in caches)}
    outputs = ["scores", EMBEDDING, *(f"next_{name}" for name in names)]
    _write(device.eval(), (example, *caches), file, ["log_mel", *names], outputs, shapes)


def cache_shapes(device: StreamStep) -> dict[str, list[int]]:
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


def fix_batch(model: onnx.ModelProto, batch: int) -> None:
    """Makes the batch of every input and output a number, for engines that want static shapes only."""
    for entry in (*model.graph.input, *model.graph.output):
        entry.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]
