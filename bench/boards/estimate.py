"""Estimates what the bundled models cost on boards that nobody has measured here: python -m bench.boards

Multiply-adds of a second of audio, divided by a tenth of what one core could do at best. A tenth is what small layers
leave of a core's peak; the front end and everything else of a listener comes on top.
"""

from typing import NamedTuple

from asit_edge.model.bundle import StreamModel, bundled, load_bundle
from bench.macs import onnx_macs

SHARE = 0.1


class Board(NamedTuple):
    name: str
    core: str
    ghz: float
    macs: int
    """Multiply-adds of float32 in a cycle of one core, at best: lanes times units."""


BOARDS = (
    Board("Raspberry Pi Zero 2 W", "Cortex-A53", 1.0, 2),
    Board("Raspberry Pi 3 B+", "Cortex-A53", 1.4, 2),
    Board("Raspberry Pi 4 B", "Cortex-A72", 1.8, 4),
    Board("Raspberry Pi 5", "Cortex-A76", 2.4, 8),
)


def per_second(name: str) -> float:
    """Multiply-adds for a second of audio, of a streaming bundle that comes with the package."""
    bundle = load_bundle(bundled()[name])
    front_end, model = bundle.manifest.front_end, bundle.manifest.model
    assert isinstance(model, StreamModel)
    return onnx_macs(bundle.path / "model.onnx") * front_end.sample_rate / (front_end.hop * model.frames)


def share_of_a_core(board: Board, macs: float) -> float:
    return macs / (SHARE * board.ghz * 1e9 * board.macs)


def table() -> list[str]:
    """In the format of the documents."""
    names = sorted(bundled(), reverse=True)
    costs = {name: per_second(name) for name in names}
    heads = [f"`{name}` ({costs[name] / 1e6:.0f} MMAC/s)" for name in names]
    lines = [f"| board | core | {' | '.join(heads)} |", "|---|---|" + "---|" * len(names)]
    for board in BOARDS:
        shares = [f"{share_of_a_core(board, costs[name]):.0%} of a core" for name in names]
        lines.append(f"| {board.name} | {board.core}, {board.ghz:g} GHz | {' | '.join(shares)} |")
    return lines
