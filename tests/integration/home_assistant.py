"""Real Home Assistants for tests, each in an environment of its own that scripts/install-home-assistant makes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, require
from tests.integration.mosquitto import Mosquitto, free_port, wait_for

OLD, NEW = "2024.3.3", "2025.1.4"
"""The last of Python 3.11, which knows messages of single entities only; the last of 3.12, which knows devices, too."""

NOT_OURS = ("[homeassistant.bootstrap]", "zlib", "Setup failed for 'camera'", "No device components to cleanup")
"""What it says because it is installed without what it does not need here, and where a topic is emptied."""

BLUEPRINT = ROOT / "docs" / "home-assistant" / "sound-notification.yaml"


class Core:
    """A core of that version with the broker entered; what it remembers is in `folder`, also over a restart."""

    def __init__(self, version: str, folder: Path, broker: Mosquitto) -> None:
        environment = ROOT / ".home-assistant" / version
        self._python = environment / "bin" / "python"
        require(self._python.exists(), f"Home Assistant {version} (scripts/install-home-assistant, and its Python)")
        self.version = version
        self.broker = broker
        self._folder, self._port = folder, free_port()
        self._process: subprocess.Popen[str] | None = None

    def automate(self, **inputs: Any) -> None:
        """Has it load the blueprint that the documents offer, with these inputs, at its next start."""
        blueprints = self._folder / "blueprints" / "automation" / "asit-edge"
        blueprints.mkdir(parents=True)
        shutil.copy(BLUEPRINT, blueprints)
        use = {"path": f"asit-edge/{BLUEPRINT.name}", "input": inputs}
        automations = [{"id": "1", "alias": "A sound", "use_blueprint": use}]
        (self._folder / "automations.yaml").write_text(json.dumps(automations), encoding="utf-8")

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        program = Path(__file__).with_name("core.py")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, program, str(self.broker.port), str(self._port), self._folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert "started" in self._answer()

    def tell(self) -> dict[str, Any]:
        """Its devices, entities, states, and what it was asked to notify."""
        return self._ask({"do": "tell"})

    def call(self, action: str, **data: Any) -> None:
        domain, _, service = action.partition(".")
        self._ask({"do": "call", "domain": domain, "service": service, "data": data})

    def rename(self, entity: str, name: str) -> None:
        self._ask({"do": "rename", "entity": entity, "name": name})

    def state(self, entity: str) -> str | None:
        found: dict[str, Any] = self.tell()["states"].get(entity, {})
        return found.get("state")

    def shows(self, entity: str, state: str) -> None:
        """Waits until it does."""
        wait_for(lambda: self.state(entity) == state, 10, f"{entity} is {state}, not {self.state(entity)}")

    def complaints(self) -> list[str]:
        """Of its log: warnings and errors that are about what it was told or asked."""
        lines = (self._folder / "log").read_text(encoding="utf-8").splitlines()
        found = [line for line in lines if " WARNING " in line or " ERROR " in line]
        return [line for line in found if not any(words in line for words in NOT_OURS)]

    def entities(self, device: str) -> dict[str, Any]:
        """Those of a box and its sources, by entity id."""
        found: dict[str, Any] = self.tell()["entities"]
        return {entity: one for entity, one in found.items() if one["unique_id"].endswith(f"@{device}")}

    def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write('{"do":"stop"}\n')
            self._process.stdin.close()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._folder / "log").read_text(encoding="utf-8")[-3_000:]
        found: dict[str, Any] = json.loads(line)
        return found
