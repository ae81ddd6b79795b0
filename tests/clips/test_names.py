"""Names of clips: what they say is what the event was, and no other name is one."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.clips.names import clip_name, label_slug, read_name
from tests.clips.parts import BEGAN, sound


def test_a_name_is_what_the_documents_say() -> None:
    event = sound(0x1D4FA3B2, BEGAN + 12.48, "Baby cry, infant cry", source="hall")
    assert clip_name(event, "flac") == "2026-05-01/hall/030012Z_baby_cry_infant_cry_1d4fa3b2.flac"


@given(
    st.text(min_size=1, max_size=500),
    st.floats(0, 4e9),
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.sampled_from(["flac", "opus"]),
)
def test_a_name_says_what_the_event_was(label: str, onset: float, source: str, form: str) -> None:
    event = sound(7, onset, label, source=source)
    name = clip_name(event, form)
    clip = read_name(name)
    assert clip is not None
    assert (clip.source, clip.label, clip.begin, clip.event) == (source, label_slug(label), int(onset), event.id[:8])
    assert all(len(part) < 200 for part in PurePosixPath(name).parts)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../../etc/passwd",
        "2026-05-01/../030012Z_dog_1d4fa3b2.flac",
        "2026-05-01/hall/../030012Z_dog_1d4fa3b2.flac",
        "2026-05-01/hall/030012Z_dog_1d4fa3b2.flac/..",
        "2026-05-01/hall/030012Z_dog_1d4fa3b2.flac\n",
        "2026-05-01/hall/030012Z_dog_1d4fa3b2.flac\0.txt",
        "2026-05-01\\hall\\030012Z_dog_1d4fa3b2.flac",
        "2026-05-01/hall/030012Z_dog_1D4FA3B2.flac",
        "2026-05-01/hall/030012Z_dog_1d4fa3b2.wav",
        "2026-05-01/hall/.030012Z_dog_1d4fa3b2.flac.x8k2",
        "2026-02-30/hall/030012Z_dog_1d4fa3b2.flac",
        "2026-05-01/hall/250012Z_dog_1d4fa3b2.flac",
        "\uff12\uff10\uff12\uff16-05-01/hall/030012Z_dog_1d4fa3b2.flac",
        "events.db",
    ],
)
def test_any_other_name_is_none(name: str) -> None:
    assert read_name(name) is None
