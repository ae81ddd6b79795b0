"""Collections of recordings as distillation takes them: whatever a layout lists, with what their manifest says besides.

A recording's name is its collection's folder and its path there. Columns of `manifest.csv` beside the audio:
`sharealike` (anything but 0) marks recordings whose licence weights would have to follow, `role` says what is no sound
(`room_response`).
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from asit_edge.errors import WrongUse
from trainer.data.audioset import names_by_id
from trainer.data.layouts.detect import read_any
from trainer.data.layouts.sharded import read_shards
from trainer.data.layouts.tables import read_rows
from trainer.data.recording import Recording, Role
from trainer.data.shards.index import INDEX

MANIFEST = "manifest.csv"

ROOM_RESPONSES = "rir_"
"""Where no manifest says a recording's role: folders (or files) whose name begins like this are room responses, as
collections were made before manifests had the column. The only place that goes by a name."""

Row = dict[str, str]


def read_recordings(root: Path) -> list[Recording]:
    """Lists a collection. Raises WrongUse, naming file and column, where it is none."""
    root = root.resolve()
    if (root / INDEX).is_file():
        return [_sharded(one, root.name) for one in read_shards(root)]
    rows = _manifest(root / MANIFEST)
    recordings = []
    for one in read_any(root).recordings:
        inner = one.path.relative_to(root).as_posix() if one.path.is_relative_to(root) else one.path.name
        said = [row for path in dict.fromkeys((inner, inner.removeprefix("audio/"))) for row in rows.get(path, ())]
        recordings.append(
            replace(
                one,
                name=f"{root.name}/{inner}",
                group=f"{root.name}/{one.group or inner}",
                sharealike=any((row.get("sharealike") or "0") != "0" for row in said),
                role=_role(root / MANIFEST, inner, said),
            )
        )
    return recordings


def _sharded(one: Recording, collection: str) -> Recording:
    """A clip of shards; AudioSet's tables have ids in place of labels."""
    names = names_by_id()
    return replace(
        one,
        labels=tuple(dict.fromkeys(names.get(label, label) for label in one.labels)),
        name=f"{collection}/{one.name}",
        group=f"{collection}/{one.group}",
    )


def _role(manifest: Path, inner: str, said: list[Row]) -> Role:
    role = next((row["role"] for row in said if row.get("role") is not None), None)
    if role is None:
        named = any(part.startswith(ROOM_RESPONSES) for part in PurePosixPath(inner).parts)
        return Role.ROOM_RESPONSE if named else Role.SOUND
    try:
        return Role(role or Role.SOUND)
    except ValueError:
        known = ", ".join(each.value for each in Role)
        raise WrongUse(f"{manifest}: {inner} has the unknown role {role!r}; known are {known}") from None


def _manifest(path: Path) -> dict[str, list[Row]]:
    """The rows of a manifest by their path; none where there is no manifest."""
    rows: dict[str, list[Row]] = {}
    if path.is_file():
        for row in read_rows(path):
            if row.get("path"):
                rows.setdefault(row["path"].replace("\\", "/"), []).append(row)
    return rows
