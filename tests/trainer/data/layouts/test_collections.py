"""A collection for distillation: names, groups, and what its manifest says of licence and role."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asit_edge.errors import WrongUse
from trainer.data.layouts.collections import read_recordings
from trainer.data.recording import Recording, Role


def collection(root: Path, header: str, *rows: str) -> list[Recording]:
    root.mkdir()
    for row in rows:
        path = root / "audio" / row.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(160, 0.1), 16_000)
    (root / "manifest.csv").write_text("\n".join((header, *rows)) + "\n")
    return read_recordings(root)


def test_names_and_groups_begin_with_the_collection(tmp_path: Path) -> None:
    rows = ("dogs/a.wav,Dog,yard,0", "dogs/b.wav,,,1")
    first, second = collection(tmp_path / "zoo", "path,label,group,sharealike", *rows)
    assert (first.name, first.group, first.labels, first.sharealike) == (
        "zoo/audio/dogs/a.wav",
        "zoo/yard",
        ("Dog",),
        False,
    )
    assert (second.name, second.group, second.labels, second.sharealike) == (
        "zoo/audio/dogs/b.wav",
        "zoo/audio/dogs/b.wav",
        (),
        True,
    )


def test_the_manifest_says_what_is_a_room_response(tmp_path: Path) -> None:
    rows = ("halls/a.wav,,room_response", "rir_like/b.wav,Dog,sound", "rir_like/c.wav,Dog,")
    made = collection(tmp_path / "zoo", "path,label,role", *rows)
    assert [one.role for one in made] == [Role.ROOM_RESPONSE, Role.SOUND, Role.SOUND]


def test_without_a_role_the_name_of_the_folder_does(tmp_path: Path) -> None:
    made = collection(tmp_path / "rir_zoo", "path,label", "rir_halls/a.wav,", "dogs/b.wav,Dog")
    assert [one.role for one in made] == [Role.ROOM_RESPONSE, Role.SOUND]


def test_an_unknown_role_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        WrongUse, match=r"manifest\.csv: audio/a\.wav has the unknown role 'rom'; known are sound, room"
    ):
        collection(tmp_path / "zoo", "path,label,role", "a.wav,Dog,rom")
