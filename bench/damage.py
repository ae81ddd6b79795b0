"""How small a damage is still noticed? `python -m bench.damage BUNDLE...`

A bundle's model is damaged in every precision that it has: weights of labels' heads set to zero, all of a label's or a
part, a channel of the stem, two caches that change places. Each is then verified as `asit-edge model verify` does it.
Printed are tables: damage x found, of so many tries.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import onnx
import typer
from onnx import ModelProto, TensorProto, numpy_helper

from asit_edge.errors import AsitEdgeError
from asit_edge.model.backends.shapes import open_classifier
from asit_edge.model.bundle import Bundle, StreamModel, find_bundle, load_bundle
from asit_edge.model.golden import allowed_for, golden_deviation
from asit_edge.model.variant import Precision
from trainer.run.command import run

Rng = np.random.Generator
Damage = Callable[[ModelProto, Bundle, Rng], None]

TRIES = 12
"""Of each damage that is drawn at random."""


def heads(model: ModelProto, labels: int) -> list[tuple[TensorProto, int]]:
    """The constant matrices that end in one number a label, and the axis of the labels."""
    found = []
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 2 and labels in tensor.dims:
            found.append((tensor, 1 if tensor.dims[1] == labels else 0))
    return found


def stem(model: ModelProto) -> TensorProto:
    """The kernels of the first convolution, or the first matrix where there is none; first axis: its outputs."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    first = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if first is None:
        return next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
    return stored.get(first.input[1]) or stored[f"{first.input[1]}/packed"]


def zero_labels(model: ModelProto, bundle: Bundle, rng: Rng, labels: list[int], share: float = 1.0) -> None:
    """Sets weights of these labels to zero: all of them, or a share drawn at random."""
    for tensor, axis in heads(model, len(bundle.manifest.labels)):
        values = np.moveaxis(numpy_helper.to_array(tensor).copy(), axis, 0)
        for label in labels:
            chosen = rng.random(values.shape[1]) < share if share < 1 else slice(None)
            values[label, chosen] = 0
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(np.moveaxis(values, 0, axis)), tensor.name))


def random_labels(count: int, share: float = 1.0) -> Damage:
    def damage(model: ModelProto, bundle: Bundle, rng: Rng) -> None:
        chosen = rng.choice(len(bundle.manifest.labels), min(count, len(bundle.manifest.labels)), replace=False)
        zero_labels(model, bundle, rng, chosen.tolist(), share)

    return damage


def one_channel(model: ModelProto, bundle: Bundle, rng: Rng) -> None:
    """A channel of the stem that does something is set to zero."""
    tensor = stem(model)
    values = numpy_helper.to_array(tensor).copy()
    used = np.flatnonzero(np.abs(values.astype(np.float32)).reshape(len(values), -1).max(axis=1))
    values[rng.choice(used)] = 0
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def swapped_caches(model: ModelProto, bundle: Bundle, rng: Rng) -> None:
    """What two layers of a stream model remember changes places."""
    shapes = bundle.stream.caches
    pairs = [(one, two) for one in shapes for two in shapes if one < two and shapes[one] == shapes[two]]
    names = {f"next_{name}" for name in pairs[int(rng.integers(len(pairs)))]}
    one, two = sorted(names)
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name in names:
                node.output[index] = two if name == one else one


def damages(bundle: Bundle) -> Iterator[tuple[str, Damage]]:
    labels = len(bundle.manifest.labels)
    for share in (1.0, 0.5, 0.1, 0.05, 0.02, 0.01):
        yield f"{share:.0%} of the head weights of 1 label of {labels}", random_labels(1, share)
    for count in (max(labels // 10, 1), labels // 2, labels * 70 // 95):
        yield f"head weights of {count} labels of {labels} ({count / labels:.0%})", random_labels(count)
    yield "one channel of the stem", one_channel
    shapes = bundle.manifest.model.caches.values() if isinstance(bundle.manifest.model, StreamModel) else []
    if len(set(map(tuple, shapes))) < len(list(shapes)):
        yield "two caches swapped", swapped_caches


def damaged(bundle: Bundle, precision: Precision, damage: Damage, rng: Rng, folder: Path) -> Bundle:
    """The bundle with a damaged copy of its model in that precision."""
    whole = bundle.at(precision)
    model = onnx.load(str(whole.model_file))
    damage(model, bundle, rng)
    file = folder / whole.model_file.name
    onnx.save(model, str(file))
    return whole.with_model(file)


def noticed(bundle: Bundle, precision: Precision) -> bool:
    """Would `asit-edge model verify` refuse it?"""
    try:
        return not golden_deviation(bundle, open_classifier(bundle)).within(allowed_for(bundle, precision))
    except AsitEdgeError:
        return True


def main(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles, by name or directory; they are not changed.")],
    tries: Annotated[int, typer.Option(min=1, help="Of each damage.")] = TRIES,
    precision: Annotated[list[str], typer.Option(help="Only these; several times. Without: all that are here.")] = [],  # noqa: B006
    every: Annotated[bool, typer.Option("--every", help="Also zero every label's head in turn.")] = False,
) -> None:
    """Print which damages of a model its golden inputs show."""
    for path in bundles:
        bundle = load_bundle(find_bundle(path))
        wanted = [one for one in bundle.precisions if not precision or one in precision]
        print(f"| {bundle.manifest.name} {bundle.manifest.version} | {' | '.join(wanted)} |")
        print(f"|---|{'---|' * len(wanted)}")
        cells = []
        for one in wanted:
            found, allowed = golden_deviation(bundle, open_classifier(bundle.at(one))), allowed_for(bundle, one)
            cells.append(
                f"{found.label_error:.2g} of {allowed.label_error:.2g}, {found.error:.2g} of {allowed.error:.2g}"
            )
        print(f"| not damaged: a label strays by, a probability differs by | {' | '.join(cells)} |", flush=True)
        rows = list(damages(bundle))
        if every:
            rows.append(("every label's head weights in turn", lambda model, bundle, rng: None))
        for name, damage in rows:
            cells = [_found(bundle, one, name, damage, tries) for one in wanted]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _found(bundle: Bundle, precision: Precision, name: str, damage: Damage, tries: int) -> str:
    rng = np.random.default_rng(0)
    labels = len(bundle.manifest.labels)
    turns: list[Damage] = [damage] * tries
    if name.startswith("every"):
        turns = [_of(label) for label in range(labels)]
    with TemporaryDirectory() as scratch:
        found = sum(noticed(damaged(bundle, precision, turn, rng, Path(scratch)), precision) for turn in turns)
    return f"{found} of {len(turns)}"


def _of(label: int) -> Damage:
    return lambda model, bundle, rng: zero_labels(model, bundle, rng, [label])


if __name__ == "__main__":
    run("bench.damage", main)
