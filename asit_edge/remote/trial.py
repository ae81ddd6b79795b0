"""What becomes of a trial when a listener starts: each has one start; one that ended on trial is not tried again."""

import logging
import os
import sys
from pathlib import Path

from asit_edge.config.remote import Record, read_record, write_record
from asit_edge.errors import AsitEdgeError

log = logging.getLogger(__name__)

ENDED = "the listener ended while it was on trial"


def begin_run(file: Path) -> None:
    """To be called before the configuration is read: what was on trial when the run before ended is rolled back."""
    try:
        record = read_record(file)
        if record.trial is None:
            return
        if record.trial.starts:
            write_record(file, rolled_back(record, ENDED))
        else:
            trial = record.trial.model_copy(update={"starts": 1})
            write_record(file, record.model_copy(update={"trial": trial}))
    except AsitEdgeError as error:
        log.warning("%s", error)


def roll_back(file: Path, reason: str) -> bool:
    """What is on trial could not even begin. True if something was, and the listener is to start anew without it."""
    try:
        record = read_record(file)
        if record.trial is None:
            return False
        write_record(file, rolled_back(record, reason))
    except AsitEdgeError as error:
        log.warning("%s", error)
        return False
    return True


def rolled_back(record: Record, reason: str) -> Record:
    assert record.trial is not None
    log.error("configuration from afar (%d): rolled back: %s", record.trial.wanted.serial, reason)
    return record.model_copy(update={"trial": None, "state": "rolled_back", "reason": reason})


def start_anew() -> None:
    """This very process becomes the listener once more, as it was called; standard input, too, is what it was."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
