"""What of a configuration can be found out without listening: files, secrets, labels, sinks. Opens no connection."""

from collections.abc import Callable, Iterator

from asit_edge.assembly import fits, load_model, open_source
from asit_edge.config.root import Config
from asit_edge.config.sources import FileSource, SourceSettings, StreamSource
from asit_edge.deliver.opening import open_sink
from asit_edge.errors import AsitEdgeError
from asit_edge.mqtt.client import Client
from asit_edge.web.guards.access import read_token

ANY_RATE = 16_000


def problems(config: Config) -> Iterator[str]:
    """Each in a sentence that names the key; nothing where all is well."""
    parts: list[Callable[[], object]] = [
        lambda: config.mqtt.host and Client(config.mqtt),
        lambda: config.store.effective_path,
        lambda: config.web.enabled and read_token(config.web),
    ]
    parts += [_source(entry) for entry in config.sources if isinstance(entry, StreamSource | FileSource)]
    parts += [lambda sink=sink: open_sink(sink) for sink in config.sinks]  # type: ignore[misc]
    parts.append(lambda: fits(config, load_model(config).manifest))
    for part in parts:
        try:
            part()
        except AsitEdgeError as error:
            yield str(error)


def _source(entry: SourceSettings) -> Callable[[], object]:
    return lambda: open_source(entry, ANY_RATE)
