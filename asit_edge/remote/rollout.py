"""Configurations and models that come from afar: checked, tried, kept or rolled back; and what came of it is answered.

Nothing of it is in force before it was checked as a whole. Then it is on trial: every source that was listened to has
to be listened to again, and the broker has to be there, or what was before is in force again, also where the listener
was killed meanwhile. A thread of its own does it all; the listening goes on beside it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from asit_edge.assembly import fits, known_manifest
from asit_edge.config.remote import (
    Record,
    Trial,
    Wanted,
    bundles_folder,
    read_record,
    record_file,
    write_record,
)
from asit_edge.config.root import Config
from asit_edge.errors import AsitEdgeError, WrongUse, one_line
from asit_edge.messages.rollout import Configured
from asit_edge.remote.bundles import fetch_bundle, tidy
from asit_edge.remote.differing import needing_restart
from asit_edge.remote.document import checked_model, read_document, verifier
from asit_edge.remote.trial import rolled_back

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
STEADY = 0.1
"""Of the trial's time: for as long all has to be well, for it to have succeeded."""

LISTENED = ("listening", "muted")
OVER = ("stopped",)
"""A file that has come to its end has not failed."""

MOST_WAITING = 8


class Listener(NamedTuple):
    """What a rollout sees of the listener, and may ask of it; for any thread."""

    read: Callable[[Wanted | None], Config]
    """The configuration with this from afar, or nothing. Raises AsitEdgeError where it cannot be used."""
    in_force: Callable[[], Config]
    problem: Callable[[], str | None]
    """Why the configuration that was read last is not in force."""
    states: Callable[[], Mapping[str, str]]
    """Of every source."""
    connected: Callable[[], bool]
    """To the broker."""
    reload: Callable[[], None]
    """Reads the configuration again, soon."""
    restart: Callable[[], None]
    """Ends, and begins anew, soon."""
    answer: Callable[[str], None]
    """Tells the broker what came of it: JSON, retained."""


class Rollout:
    """Of one listener."""

    def __init__(self, config: Config, listener: Listener) -> None:
        """`config` is in force. Raises AsitEdgeError where the key cannot be used, or what came before not be read."""
        self._settings, self._device, self._listener = config.remote, config.device_name, listener
        store = config.store.effective_path
        self._file, self._folder = record_file(store), bundles_folder(store)
        key = config.remote.public_key_file
        self._verify = verifier(key) if key else None
        self._record = read_record(self._file)
        self._offers: queue.Queue[bytes] = queue.Queue(MOST_WAITING)
        self._until, self._well_since = time.monotonic() + self._settings.trial_seconds, float("inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        if self._verify is None:
            what = [*self._settings.allow, *(["the model"] if self._settings.bundles else [])]
            log.warning("remote: whoever may write %s changes %s", config.wanted_topic, ", ".join(what))

    def problem(self) -> str | None:
        """Why what came last is not in force, in words for the user."""
        record = self._record
        if record.state in ("refused", "rolled_back"):
            return f"configuration from afar ({record.serial}): {record.state.replace('_', ' ')}: {record.reason}"
        return None

    def start(self) -> None:
        self._answer()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def offer(self, payload: bytes) -> None:
        """Something has come on the topic; what was taken away there changes nothing."""
        if payload:
            try:
                self._offers.put_nowait(payload)
            except queue.Full:
                log.warning("configuration from afar: comes faster than it can be tried; one is left out")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._record.trial:
                    self._stopping.wait(LOOK_EVERY)
                    self._watch(self._record.trial)
                else:
                    self._consider(self._offers.get(timeout=LOOK_EVERY))
            except queue.Empty:
                continue
            except Exception as error:  # of a library below: what was in force before is so again
                log.exception("configuration from afar: failed")
                reason = f"{type(error).__name__}: {one_line(error)}"
                self._roll_back(reason) if self._record.trial else self._refuse(self._record.serial, reason)

    # What is wanted.

    def _consider(self, payload: bytes) -> None:
        try:
            wanted = read_document(payload, self._device, self._verify)
        except WrongUse as error:
            self._refuse(self._record.serial, str(error))
            return
        known = self._record
        if wanted is None or self._known(wanted):
            return  # as the broker tells at every connection
        try:
            if wanted.serial <= known.serial:
                raise WrongUse(f"serial: must be higher than {known.serial}, which was considered before")
            config = self._checked(wanted)
        except AsitEdgeError as error:
            self._refuse(wanted.serial, str(error))
            return
        self._try(wanted, config)

    def _known(self, wanted: Wanted) -> bool:
        """It is what was considered last, as far as that is remembered."""
        kept = self._record.in_force
        return wanted.serial == self._record.serial and (kept is None or kept.serial != wanted.serial or wanted == kept)

    def _checked(self, wanted: Wanted) -> Config:
        """The whole of it, with its model here and verified. Raises AsitEdgeError."""
        checked_model(wanted, self._settings)
        self._listener.read(wanted)  # what cannot be is not fetched for
        folder = fetch_bundle(self._settings, wanted.model, self._folder) if wanted.model else None
        config = self._listener.read(wanted)
        if folder and config.model != folder:
            raise WrongUse("model: is named on the command line or in the environment, which goes before")
        fits(config, known_manifest(config))
        return config

    def _try(self, wanted: Wanted, config: Config) -> None:
        before = self._listener.in_force()
        anew = needing_restart(before, config)
        listened = [name for name, state in self._listener.states().items() if state in LISTENED]
        trial = Trial(wanted=wanted, starts=0 if anew else 1, listened=listened)
        change = {"serial": wanted.serial, "trial": trial, "state": "trial", "reason": ""}
        if not self._note(self._record.model_copy(update=change)):
            return
        how = f"the listener starts anew for {', '.join(anew)}" if anew else "nothing is interrupted"
        log.info("configuration from afar (%d): on trial; %s", wanted.serial, how)
        self._until, self._well_since = time.monotonic() + self._settings.trial_seconds, float("inf")
        if anew:
            self._listener.restart()
            self._stopping.wait()
        else:
            self._listener.reload()

    # What is on trial.

    def _watch(self, trial: Trial) -> None:
        now, taken, wrong = time.monotonic(), self._taken(trial), ""
        if not taken:
            wrong = self._listener.problem() or ""
        if wrong:
            self._roll_back(wrong)
            return
        wrong = self._wrong(trial) if taken else "is not in force yet"
        self._well_since = min(self._well_since, now) if not wrong else float("inf")
        if now - self._well_since >= STEADY * self._settings.trial_seconds:
            applied = {"in_force": trial.wanted, "trial": None, "state": "applied", "reason": ""}
            if self._note(self._record.model_copy(update=applied)):
                log.info("configuration from afar (%d): applied", trial.wanted.serial)
                tidy(self._folder, [trial.wanted.model.folder] if trial.wanted.model else [])
        elif now >= self._until:
            self._roll_back(wrong or "was not steady")

    def _taken(self, trial: Trial) -> bool:
        try:
            return self._listener.in_force() == self._listener.read(trial.wanted)
        except AsitEdgeError:  # the file has changed meanwhile
            return False

    def _wrong(self, trial: Trial) -> str:
        """What is not as it was before."""
        if not self._listener.connected():
            return "the broker is not there"
        states = self._listener.states()
        gone = [name for name in trial.listened if states.get(name, "stopped") not in (*LISTENED, *OVER)]
        return ", ".join(f"source {name}: {states[name].replace('_', ' ')}" for name in gone)

    def _roll_back(self, reason: str) -> None:
        try:
            before = self._listener.read(self._record.in_force)
            anew = bool(needing_restart(self._listener.in_force(), before))
        except AsitEdgeError:  # the file has changed meanwhile: a start sorts it out
            anew = True
        if not self._note(rolled_back(self._record, reason)):
            self._stopping.wait(LOOK_EVERY)
        elif anew:
            self._listener.restart()
            self._stopping.wait()
        else:
            self._listener.reload()

    # What came of it.

    def _refuse(self, serial: int, reason: str) -> None:
        if (self._record.state, self._record.reason) != ("refused", reason):
            log.error("configuration from afar: not taken, what was before stays in force: %s", reason)
        change = {"serial": max(serial, self._record.serial), "state": "refused", "reason": reason}
        self._note(self._record.model_copy(update=change))

    def _note(self, record: Record) -> bool:
        """False where the disk does not take it: then nothing has changed."""
        try:
            if record != self._record:
                write_record(self._file, record)
        except AsitEdgeError as error:
            log.error("configuration from afar: %s", error)
            return False
        self._record = record
        self._answer()
        return True

    def _answer(self) -> None:
        record = self._record
        said = Configured(
            schema=1,
            device=self._device,
            serial=record.serial,
            state=record.state,
            reason=record.reason,
            in_force=record.in_force.serial if record.in_force else 0,
            model=record.in_force.model.name if record.in_force and record.in_force.model else "",
        )
        self._listener.answer(said.to_json())
