"""`asit-edge refused`."""

import json
import sys
from typing import Annotated

import typer

from asit_edge.cli.shared.options import ConfigOption
from asit_edge.config.file import load_config
from asit_edge.errors import AsitEdgeError, readable

LISTENER_SECONDS = 15.0
"""How long a listener that runs may take to answer."""


def refused(
    config: ConfigOption = None,
    requeue: Annotated[bool, typer.Option("--requeue", help="Queue them once more, as for a first attempt.")] = False,
    sink: Annotated[str | None, typer.Option(help="Only of this sink; mqtt is the broker.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only of this topic, such as microphone/event.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line a sink, topic and reason, as JSON.")] = False,
) -> None:
    """Show what a sink refused for good and the store keeps; with --requeue, try to deliver it once more."""
    from asit_edge.store.database import NotAStore
    from asit_edge.store.store import Store
    from asit_edge.store.wishes import answer, leave
    from asit_edge.store.wishes import refused as kept

    settings = load_config(config).store
    path = settings.effective_path
    found = [one for one in kept(path) if sink in (None, one.sink) and topic in (None, one.topic)]
    for one in found:
        if as_json:
            print(json.dumps(one._asdict(), ensure_ascii=False))
        else:
            print(f"{one.messages:>7}  {one.sink:<10} {readable(one.topic):<30} {readable(one.reason)}")
    if not found:
        print("nothing was refused", file=sys.stderr)
    if not requeue or not found:
        return
    wish = leave(path, sink, topic)
    try:  # without a listener that runs, this process may write
        store = Store(path, settings.keep, settings.max_days, settings.max_mb)
    except NotAStore:
        count = answer(path, wish, LISTENER_SECONDS)
    else:
        store.grant_wishes()
        store.close()
        count = answer(path, wish, 0)
    if count is None:
        raise AsitEdgeError(f"{path}: the listener has not answered; it will when it can write to its store again")
    print(f"{count} message(s) are queued once more", file=sys.stderr)
