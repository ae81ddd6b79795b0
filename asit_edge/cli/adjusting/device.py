"""What there is to adjust on this device: the configuration's sources, the model's labels, the file that keeps it."""

from collections.abc import Callable, Sequence

from asit_edge.adjust.adjustments import Adjustments
from asit_edge.adjust.file import adjustments_file
from asit_edge.assembly import known_manifest
from asit_edge.config.root import Config
from asit_edge.detect.class_settings import class_settings
from asit_edge.detect.hysteresis import ClassSettings
from asit_edge.errors import WrongUse
from asit_edge.labels import slug
from asit_edge.validation import nearest


class AdjustedDevice:
    """One that may be listening meanwhile."""

    def __init__(self, config: Config) -> None:
        """Raises WrongUse or AsitEdgeError where the configuration or its model cannot be used."""
        self.name = config.device_name
        self.file = adjustments_file(config)
        self._config, self._manifest = config, known_manifest(config)
        self.labels = [label.name for label in self._manifest.labels]
        self.sources = [source.name for source in config.sources]

    def chosen(self, sources: Sequence[str] | None) -> list[str]:
        """Those sources, or all. Raises WrongUse, with the nearest name, if there is no such source."""
        return [_known(name, self.sources, "source") for name in sources or self.sources]

    def label(self, name: str) -> str:
        """The display name of what may be spelled as in topics. Raises WrongUse if the model has no such label."""
        return known_label(name, self.labels)

    def reporting(self, label: str, sources: Sequence[str] | None) -> list[str]:
        """Those sources that report it as configured. Raises WrongUse if one that is named does not, or none does."""
        chosen = self.chosen(sources)
        reporting = [name for name in chosen if self.configured(name, label)]
        if not reporting or (sources and len(reporting) < len(chosen)):
            silent = next(name for name in chosen if name not in reporting)
            raise WrongUse(
                f"{label!r} is not reported by {silent} as configured; name it in events.only or events.labels first"
            )
        return reporting

    def configured(self, source: str, label: str) -> ClassSettings | None:
        """How the label becomes events there without adjustments; None if it does not."""
        index = self.sources.index(source)
        own, where = self._config.sources[index].events, f"sources[{index}].events"
        return class_settings(self._config.events, self._manifest, own, where)[self.labels.index(label)]

    def change(self, change: Callable[[Adjustments], Adjustments]) -> Adjustments:
        """What is adjusted then. Raises AsitEdgeError where it cannot be written."""
        return self.file.change(change).adjustments


def known_label(name: str, labels: Sequence[str]) -> str:
    """The one of that name, or of that slug. Raises WrongUse, with the nearest, if there is none."""
    if name in labels:
        return name
    alike = [label for label in labels if slug(label) == slug(name)]
    return alike[0] if len(alike) == 1 else _known(name, labels, "label")


def _known(name: str, names: Sequence[str], kind: str) -> str:
    if name not in names:
        raise WrongUse(f"no {kind} {name!r}{nearest(name, names)}")
    return name
