"""The questions of `asit-edge init`, and what comes of trying the answers."""

from collections.abc import Sequence
from typing import Any

import typer

from asit_edge.errors import AsitEdgeError, WrongUse, readable
from asit_edge.setup.answers import broker_of, label_of, source_of

Broker = tuple[dict[str, Any], str | None]
"""Keys of `mqtt`, none where there is to be no broker; and the password."""


class Interview:
    """Asks where it `asks`, tries the answers where it `tries`, and says what it finds."""

    def __init__(self, asks: bool, tries: bool) -> None:
        self._asks, self._tries = asks, tries

    def source(self, words: str | None) -> dict[str, Any]:
        """As the option says, or asked for until it is one that is to be kept. Raises WrongUse for an option."""
        devices = _devices(self._tries)
        if words is not None or not self._asks:
            found = source_of(words or "", devices)
            self._sounds(found)
            return found
        for one in devices:
            print(f"{'*' if one['default'] else ' '} {one['index']:>3}  {readable(one['name'])}")
        while True:
            try:
                found = source_of(
                    _asked("listen to (number, name, or an address such as rtsp://...)", "default"), devices
                )
            except WrongUse as error:
                print(readable(error))
                continue
            if self._sounds(found) or typer.confirm("take it all the same?", default=False):
                return found

    def broker(self, words: str | None, more: dict[str, Any], password: str | None) -> Broker:
        """As options say, or asked for; `more` are other keys of `mqtt`. Raises WrongUse for options."""
        if words is not None or not self._asks:
            mqtt = {} if words in (None, "none") else {**broker_of(words), **more}
            if (more or password is not None) and not mqtt:
                raise WrongUse("--username, --password-file and --tls are about a broker; name it with --broker")
            self._answers(mqtt, password)
            return mqtt, password
        while True:
            if (words := _asked("MQTT broker (host or host:port)", "none")) == "none":
                return {}, None
            try:
                mqtt = {**broker_of(words), **more}
            except WrongUse as error:
                print(readable(error))
                continue
            if "username" not in mqtt and (user := _asked("user at the broker (empty: none)", "")):
                mqtt["username"] = user
            if "username" in mqtt and password is None:
                password = typer.prompt("password", hide_input=True, default="", show_default=False) or None
            if self._answers(mqtt, password) or typer.confirm("take it all the same?", default=False):
                return mqtt, password
            password = None

    def labels(self, words: Sequence[str] | None) -> list[str] | None:
        """Those of interest, None for all. Raises WrongUse for an option that fits none, or several."""
        from asit_edge.model.bundle import find_bundle, load_bundle

        if not words and not self._asks:
            return None
        known = [one.name for one in load_bundle(find_bundle()).manifest.labels]
        if words:
            return [label_of(one, known) for one in words]
        while True:
            if (said := _asked(f"sounds to report, with ; between them (of {len(known)})", "all")) == "all":
                return None
            try:
                return list(dict.fromkeys(label_of(one, known) for one in said.split(";") if one.strip()))
            except WrongUse as error:
                print(readable(error))

    def _sounds(self, source: dict[str, Any]) -> bool:
        """Whether it can be heard, and well. Raises WrongUse for what can be no source at all."""
        from asit_edge.setup.trying import level_at

        if not self._tries:
            return True
        print("listening for two seconds ...", flush=True)
        try:
            level = level_at(source)
        except WrongUse:
            raise
        except AsitEdgeError as error:
            print(f"it cannot be heard: {readable(error)}")
            return False
        print(f"its level is {level.sentence}")
        return level.good

    def _answers(self, mqtt: dict[str, Any], password: str | None) -> bool:
        """Whether the broker takes us. Raises WrongUse for settings that are none."""
        from asit_edge.setup.trying import broker_problem

        if not mqtt or not self._tries:
            return True
        print(f"connecting to {readable(mqtt['host'])} ...", flush=True)
        problem = broker_problem(mqtt, password)
        print(readable(problem) if problem else "the broker takes us")
        return problem is None


def _asked(question: str, default: str) -> str:
    return str(typer.prompt(question, default=default, show_default=bool(default))).strip()


def _devices(told: bool) -> list[dict[str, Any]]:
    from asit_edge.audio.sources.microphone import input_devices

    try:
        return input_devices()
    except AsitEdgeError as error:  # streams need no PortAudio
        if told:
            print(f"no microphones: {readable(error)}")
        return []
