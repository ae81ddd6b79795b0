"""`python -m export.adopt DECLARATION.yaml OUT`: a classifier of others becomes a bundle like any other."""

from pathlib import Path
from typing import Annotated

import typer

from export.adopting.adoption import adopt
from export.bundling import refuse_foreign
from trainer.run.command import run


def main(
    declaration: Annotated[Path, typer.Argument(help="YAML that says what the model is; examples are in docs/adopt.")],
    out: Annotated[Path, typer.Argument(help="Directory of the bundle; an existing bundle is replaced.")],
) -> None:
    """Make a bundle of an ONNX or TFLite classifier over waveforms or log-mel, or of EfficientAT's weights.

    Nothing is written unless the bundle computes what the original does.
    """
    refuse_foreign(out)
    adopted = adopt(declaration, out)
    manifest, found = adopted.manifest, adopted.manifest.metrics
    size = sum(file.stat().st_size for file in out.iterdir())
    print(f"wrote {out}: {manifest.name} {manifest.version}, {len(manifest.labels)} labels, {size / 1e6:.1f} MB")
    print(
        f"compared with {found['compared_with']}: probabilities differ by "
        f"{found['largest_difference_of_a_probability']:g} at most, {found['mean_difference']:g} on average"
    )
    print(f"active in its golden inputs: {'; '.join(adopted.active) or 'no label'}")


if __name__ == "__main__":
    run("export.adopt", main)
