"""`asit-edge schema`."""

import json
from typing import Annotated

import typer

from asit_edge.cli.shared import completion
from asit_edge.errors import WrongUse
from asit_edge.validation import nearest


def schema(
    name: Annotated[
        str,
        typer.Argument(
            help="event, bundle, config, gap, clip, status, level, adjusted, health, error, identity, configured.",
            autocompletion=completion.schemas,
        ),
    ],
) -> None:
    """Print the JSON Schema of a payload, of bundle.yaml or of config.yaml."""
    from asit_edge.messages.schema import MODELS
    from asit_edge.messages.schema import schema as of

    if name not in MODELS:
        raise WrongUse(f"no schema {name!r}{nearest(name, list(MODELS))}")
    print(json.dumps(of(name), indent=2, ensure_ascii=False))
