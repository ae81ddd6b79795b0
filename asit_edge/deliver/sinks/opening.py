"""The sinks that the configuration names, each with its worker; what a sink needs is loaded only where there is one."""

from asit_edge.config.delivery import CommandSink, FileSink, SinkSettings, WebhookSink
from asit_edge.deliver.sinks.base import Send
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.store.store import Store


def open_worker(sink: SinkSettings, store: Store) -> Worker:
    """Raises WrongUse if what the configuration names cannot be used."""
    send: Send
    if isinstance(sink, WebhookSink):
        from asit_edge.deliver.sinks.webhook import open_webhook  # loads http.client, which only this sink needs

        send = open_webhook(sink)
    elif isinstance(sink, CommandSink):
        from asit_edge.deliver.sinks.command import open_command

        send = open_command(sink)
    else:
        assert isinstance(sink, FileSink)
        from asit_edge.deliver.sinks.file import open_file

        send = open_file(sink)
    return Worker(sink.name, send, store)
