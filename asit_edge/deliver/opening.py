"""The sinks that the configuration names, each with its worker; what a sink needs is loaded only where there is one."""

from asit_edge.config.delivery import CommandSink, FileSink, WebhookSink
from asit_edge.config.notifications import SinkSettings
from asit_edge.deliver.sinks.base import Send
from asit_edge.deliver.sinks.worker import Worker
from asit_edge.store.store import Store


def open_worker(sink: SinkSettings, store: Store) -> Worker:
    """Raises WrongUse if what the configuration names cannot be used."""
    return Worker(sink.name, open_sink(sink), store)


def open_sink(sink: SinkSettings) -> Send:
    """What takes events for this sink. Raises WrongUse if what the configuration names cannot be used."""
    if isinstance(sink, WebhookSink):
        from asit_edge.deliver.sinks.webhook import open_webhook  # loads http.client, which only this sink needs

        return open_webhook(sink)
    if isinstance(sink, CommandSink):
        from asit_edge.deliver.sinks.command import open_command

        return open_command(sink)
    if isinstance(sink, FileSink):
        from asit_edge.deliver.sinks.file import open_file

        return open_file(sink)
    from asit_edge.deliver.notify.notifier import open_notifier

    return open_notifier(sink).send
