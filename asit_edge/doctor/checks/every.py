"""All checks, in the order in which they are made: what others depend on first."""

from asit_edge.doctor.checks import (
    broker,
    clips,
    clock,
    configuration,
    engine,
    memory,
    page,
    service,
    sources,
    storage,
)
from asit_edge.doctor.examination import Check
from asit_edge.doctor.patient import Patient

OF_THE_MACHINE = [
    Check("clock", 15, clock.look),
    Check("memory", 5, memory.look),
    Check("service", 15, service.look),
]
"""What can be looked at without a configuration."""


def checks(patient: Patient) -> list[Check]:
    """For a device with a configuration."""
    return [
        Check("configuration", 5, configuration.look),
        *OF_THE_MACHINE,
        Check("disk", 10, storage.disk),
        Check("store", storage.LOOK_SECONDS + 15, storage.store),
        Check("clips", 10, clips.look),
        Check("engine", 120, engine.look),
        *sources.checks(patient),
        Check("broker", 60, broker.look),
        Check("page", 10, page.look),
    ]
