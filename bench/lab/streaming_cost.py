"""What a second of audio costs: recomputed windows, streaming, a CNN and YAMNet, at the same decision intervals.

`python bench/lab/streaming_cost.py [--yamnet yamnet.tflite] [--repeat 5]` prints a table. Weights are random: cost does
not depend on them. Each model runs in a process of its own on one thread. CPU time is the least of several rounds,
because whatever else the machine does can only add to it. int8 is ONNX Runtime's dynamic quantisation of
matrix products.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

INTERVALS = (0.96, 0.48, 0.32)
SECONDS_A_FRAME = 0.01
CLASSES = 70


def make_models(folder: Path) -> list[tuple[str, float, Path, Path | None]]:
    """Rows of (name, seconds of audio between runs, fp32 file, int8 file)."""
    import torch
    from onnxruntime.quantization import quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from asit_edge.model.frontend import FrontEnd
    from export.conversion import export_stream, export_windows
    from trainer.models.cnn import WindowCnn
    from trainer.models.device import StreamStep, WindowScores
    from trainer.models.finetuned import WindowNetwork
    from trainer.models.streaming_vit import SIZES, StreamViT
    from trainer.models.vit import vit_config

    torch.manual_seed(0)
    silence = FrontEnd().silence
    rows: list[tuple[str, float, Path, Path | None]] = []

    def quantised(file: Path) -> Path:
        prepared, out = file.with_suffix(".prepared.onnx"), file.with_suffix(".int8.onnx")
        quant_pre_process(str(file), str(prepared))
        quantize_dynamic(str(prepared), str(out), op_types_to_quantize=["MatMul", "Gemm"])
        return out

    for size in ("tiny", "nano"):
        for interval in INTERVALS:
            config = replace(SIZES[size], chunk=round(interval / 0.16))
            file = folder / f"stream-{size}-{config.chunk}.onnx"
            export_stream(StreamStep(StreamViT(config, CLASSES, silence)), file)
            rows.append((f"streaming {size}", interval, file, quantised(file)))
    file = folder / "cnn.onnx"
    export_windows(torch.nn.Sequential(WindowCnn(CLASSES), torch.nn.Sigmoid()), 192, 128, file)
    rows += [("CNN (MobileNetV3 0.4), 2 s", interval, file, None) for interval in INTERVALS]
    for size in ("tiny", "nano"):
        for frames in (192, 592, 992):
            file = folder / f"window-{size}-{frames}.onnx"
            backbone = vit_config(size, frames, 128, 0.0)
            export_windows(WindowScores(WindowNetwork(backbone, CLASSES)), frames, 128, file)
            small = quantised(file)
            name = f"window ViT {size}, {frames * SECONDS_A_FRAME:.0f} s"
            rows += [(name, interval, file, small) for interval in INTERVALS]
    return rows


def cpu_ms(run: Callable[[], object], rounds: int) -> float:
    """The least CPU time of a run over the rounds, in milliseconds. A round is about 0.3 s of work."""
    began = time.process_time()
    for _ in range(5):
        run()
    count = max(round(1.5 / (time.process_time() - began)), 3)
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(count):
            run()
        times.append((time.process_time() - began) / count * 1e3)
    return min(times)


def measure(file: Path, rounds: int) -> None:
    """In a process of its own: CPU time and memory of one model, as JSON on stdout."""
    rng = np.random.default_rng(0)
    if file.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(file), num_threads=1)
        interpreter.allocate_tensors()
        index = interpreter.get_input_details()[0]["index"]
        sound = rng.uniform(-0.1, 0.1, 15_600).astype(np.float32)

        def run() -> None:
            interpreter.set_tensor(index, sound)
            interpreter.invoke()

    else:
        from asit_edge.model.backends.session import open_session

        session = open_session(file)
        feed = {
            value.name: rng.standard_normal([1, *value.shape[1:]]).astype(np.float32) for value in session.get_inputs()
        }

        def run() -> None:
            session.run(None, feed)

    spent = cpu_ms(run, rounds)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"ms": spent, "mb": peak / 1024}))


def front_end_ms(rounds: int) -> float:
    """CPU time of the NumPy front end for a second of audio, fed in blocks of 0.32 s."""
    from asit_edge.model.frontend import FrontEnd, LogMel

    log_mel = LogMel(FrontEnd())
    block = np.random.default_rng(0).uniform(-0.1, 0.1, 5_120).astype(np.float32)
    return cpu_ms(lambda: log_mel.push(block), rounds) / 0.32


def in_process(file: Path, rounds: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--measure", str(file), "--repeat", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--yamnet", type=Path, help="YAMNet's TFLite file (needs ai-edge-litert)")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of about 0.3 s")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.repeat)
        return
    import onnx

    sys.path.insert(0, str(Path(__file__).parent.parent.parent))
    from bench.macs import onnx_macs, tflite_macs

    measured: dict[Path, dict[str, float]] = {}

    def cost(file: Path) -> dict[str, float]:
        if file not in measured:
            measured[file] = in_process(file, options.repeat)
        return measured[file]

    with tempfile.TemporaryDirectory() as folder:
        print("| model | decides every | parameters | MMAC/s | CPU ms/s fp32 | CPU ms/s int8 | memory MB |")
        print("|---|---|---|---|---|---|---|")
        for name, interval, file, small in make_models(Path(folder)):
            parameters = sum(int(np.prod(tensor.dims)) for tensor in onnx.load(file).graph.initializer)
            full, less = cost(file), cost(small) if small else None
            int8 = f"{less['ms'] / interval:.2f}" if less else "-"
            memory = f"{full['mb']:.0f} / {less['mb']:.0f}" if less else f"{full['mb']:.0f}"
            macs = onnx_macs(file) / interval / 1e6
            print(
                f"| {name} | {interval} s | {parameters / 1e6:.2f} M | {macs:.0f} | {full['ms'] / interval:.2f} "
                f"| {int8} | {memory} |",
                flush=True,
            )
        if options.yamnet:
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(str(options.yamnet), num_threads=1)
            interpreter.allocate_tensors()
            macs, spent = tflite_macs(interpreter), cost(options.yamnet)
            for interval in INTERVALS:
                print(
                    f"| YAMNet, TFLite (int8 weights), 0.975 s | {interval} s | 3.7 M | {macs / interval / 1e6:.0f} "
                    f"| - | {spent['ms'] / interval:.2f} | {spent['mb']:.0f} |",
                    flush=True,
                )
    print(f"\nfront end (NumPy, not in the table; YAMNet's is): {front_end_ms(options.repeat):.2f} ms/s")


if __name__ == "__main__":
    main()
