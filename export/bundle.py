"""`python -m export.bundle CKPT OUT`: a fine-tuned or distilled checkpoint becomes a bundle that a device can trust."""

from pathlib import Path
from typing import Annotated, cast

import typer
import yaml

from asit_edge.errors import WrongUse, one_line
from export.audio import read_audio
from export.bundling import plan_bundle, refuse_foreign, write_bundle
from export.golden import TRIES
from export.golden.write import write_golden
from export.lowering import parse_limits, parse_precisions, write_variants
from export.options import LOWER, MOST_CLIPS, ForceOption, LimitOption, PrecisionOption, UnheardOption
from export.precisions.compact import Bits
from trainer.evaluation.scoring import DEFAULT_OFF, DEFAULT_ON
from trainer.run.command import run


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of trainer.finetune or trainer.distill.")],
    out: Annotated[Path, typer.Argument(help="Directory of the bundle; an existing bundle is replaced.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; default: that of the directory.")] = None,
    version: Annotated[str, typer.Option()] = "0.1.0",
    license_name: Annotated[str, typer.Option("--license", help="Licence of the weights, SPDX.")] = "Apache-2.0",
    facts: Annotated[
        Path | None,
        typer.Option(help="YAML with labels, thresholds, training and metrics, for manifest and model card."),
    ] = None,
    notice: Annotated[
        Path | None, typer.Option(help="Licences and attributions that belong to the weights (scripts/list-notices).")
    ] = None,
    on: Annotated[
        float, typer.Option(help="Score at which an event starts, where the checkpoint does not say.")
    ] = DEFAULT_ON,
    off: Annotated[
        float, typer.Option(help="Score below which it ends, where the checkpoint does not say.")
    ] = DEFAULT_OFF,
    data: Annotated[
        Path | None, typer.Option(help="Real audio: also make fp16 and int8 models, judged on it (export.variants).")
    ] = None,
    precision: PrecisionOption = list(LOWER),  # noqa: B006
    limit: LimitOption = [],  # noqa: B006
    unheard: UnheardOption = False,
    force: ForceOption = False,
    golden_tries: Annotated[
        int, typer.Option(min=0, help="Sounds that are tried to find golden inputs; 0: made sounds as they are.")
    ] = TRIES,
    compact: Annotated[
        int | None, typer.Option(help="Store weights in 16 bits (half the file) or 8 (a quarter).")
    ] = None,
) -> None:
    """Make a model bundle from a checkpoint; nothing is written unless ONNX computes what the checkpoint does."""
    if compact not in (None, 16, 8):
        raise WrongUse(f"--compact {compact}: weights are stored in 16 or 8 bits")
    wanted, limits = parse_precisions(precision), parse_limits(limit)
    refuse_foreign(out)
    if notice is not None and not notice.is_file():
        raise WrongUse(f"--notice {notice}: no such file")
    try:
        extra = yaml.safe_load(facts.read_text(encoding="utf-8")) if facts else {}
    except (OSError, yaml.YAMLError) as error:
        raise WrongUse(f"--facts {facts}: {one_line(error)}") from None
    if not isinstance(extra or {}, dict):
        raise WrongUse(f"--facts {facts}: must be a mapping of keys such as thresholds and metrics")
    described = (name or out.name, version, license_name, extra or {}, on, off)
    plan_bundle(checkpoint, *described)  # what makes no manifest is said before audio is read
    audio = read_audio(data, MOST_CLIPS) if data else None
    manifest = write_bundle(checkpoint, out, *described, audio, cast(Bits | None, compact), notice)
    if golden_tries:
        golden = write_golden(out, golden_tries)
        print(
            f"{len(golden.inputs)} golden inputs, active in them: {len(golden.active)} of {len(manifest.labels)} labels"
        )
    if audio is not None:
        for variant in write_variants(out, wanted, audio, limits, force, unheard):
            print(variant.report())
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"wrote {out}: {manifest.name} {manifest.version}, {len(manifest.labels)} labels, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run("export.bundle", main)
