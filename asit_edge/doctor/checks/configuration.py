"""The configuration: that it can be read, what it asks for, and who else can read what is secret in it."""

import stat
from collections.abc import Iterator
from pathlib import Path

from asit_edge.config.delivery import WebhookSink
from asit_edge.config.secrets import has_secret
from asit_edge.config.section import Section
from asit_edge.config.sources import StreamSource
from asit_edge.doctor.finding import Finding
from asit_edge.doctor.patient import Patient
from asit_edge.errors import for_shell

PUBLIC = ("ca_file", "cert_file")
"""Keys of files that anybody may read."""


def look(patient: Patient) -> Iterator[Finding]:
    config, file = patient.config, patient.file
    if file is None:
        yield Finding(
            "configuration",
            "ok",
            "there is none; defaults apply: the system's default microphone, no broker",
            remedy="sudo mkdir -p /etc/asit-edge && sudo cp config.yaml /etc/asit-edge/    # and keep what you change",
        )
        return
    sources = ", ".join(f"{source.name} ({source.type})" for source in config.sources)
    broker = config.mqtt.host or "none"
    yield Finding("configuration", "ok", f"{file}: sources {sources}; broker {broker}; device {config.device_name}")
    # One with a variable has its secrets elsewhere.
    if _for_all(file) and any(has_secret(url) and "${" not in url for url in _addresses(patient)):
        yield Finding(
            "configuration",
            "warning",
            f"{file}: every user of this machine can read it, and an address in it has a user, a query or a token",
            remedy="write ${NAME} in its place, and NAME=... into the environment    # /etc/asit-edge/environment",
        )
    for secret in _secret_files(config):
        if _for_all(secret):
            yield Finding(
                "configuration",
                "warning",
                f"{secret}: every user of this machine can read this secret",
                remedy=f"sudo chmod 600 {for_shell(secret)}    # it must belong to the user as whom listen runs",
            )


def _addresses(patient: Patient) -> list[str]:
    streams = [source.url for source in patient.config.sources if isinstance(source, StreamSource)]
    return streams + [sink.url for sink in patient.config.sinks if isinstance(sink, WebhookSink)]


def _secret_files(section: Section) -> Iterator[Path]:
    """All files that a section and those within it name, but certificates."""
    for name, value in section:
        if isinstance(value, Path) and name.endswith("_file") and name not in PUBLIC:
            yield value
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Section):
                yield from _secret_files(inner)


def _for_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False  # whoever needs it says so
