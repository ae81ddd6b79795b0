"""What is for measuring only never reaches training, in whatever collection it turns up."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import WrongUse
from tests.conftest import ROOT
from trainer.data.layouts.collections import read_recordings
from trainer.data.left_out import (
    collection_of,
    is_left_out,
    left_out_collections,
    original,
    read_collections,
    split_collections,
    split_left_out,
)
from trainer.data.recording import Recording


def recording(pool: str, collection: str, group: str, number: int = 0, fold: int | None = None) -> Recording:
    name = f"{pool}/audio/{collection}/{number}.opus" if collection else f"{pool}/audio/{number}.ogg"
    return Recording(Path(name), group=f"{pool}/{group}", part=None if fold is None else str(fold), name=name)


def test_the_list_names_collections_without_their_comments() -> None:
    assert left_out_collections() == {
        "luanti_mod_sounds",
        "opensfx",
        "noixer",
        "ibm_max_samples",
        "muges_ambientsounds",
        "drunkentoast_ambience",
        "scikit_maad",
    }
    assert (ROOT / "trainer" / "left_out.txt").is_file()


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("events/audio/noixer/train.opus", "noixer"),
        ("events2/noixer/train.opus", "noixer"),
        ("events/audio/noixer/deeper/train.opus", "noixer"),
        ("noixer/train.opus", "noixer"),
        ("noixer/audio/train.opus", "noixer"),
        ("esc10/audio/1-1-A-0.ogg", "esc10"),
        ("events/audio/noixer_not/train.opus", "noixer_not"),
        ("events/audio/petz/noixer.opus", "petz"),
        ("", ""),
    ],
)
def test_a_collection_is_the_folder_in_the_pool(name: str, collection: str) -> None:
    one = Recording(Path("x"), name=name)
    assert collection_of(one) == collection
    assert is_left_out(one) is (collection == "noixer")


def test_one_recording_has_one_name_in_every_pool() -> None:
    assert original(recording("events", "noixer", "fs:12")) == "fs:12"
    assert original(recording("events2", "petz", "fs:12")) == "fs:12"
    assert original(recording("ESC-10", "", "12", fold=5)) == "fs:12"
    assert original(recording("events2", "drone", "drone/motor")) == "drone/motor"
    assert original(recording("fsdd", "", "12")) == "12", "a number that is not Freesound's"


RECORDINGS = st.lists(
    st.builds(
        recording,
        st.sampled_from(["events", "events2"]),
        st.sampled_from(["noixer", "opensfx", "petz", "mk48"]),
        st.integers(0, 9).map(lambda number: f"fs:{number}"),
        st.integers(0, 1000),
    )
    | st.builds(
        recording,
        st.just("esc10"),
        st.just(""),
        st.integers(0, 9).map(str),
        st.integers(0, 1000),
        st.integers(1, 5),
    ),
    max_size=40,
)


@given(RECORDINGS, st.none() | st.integers(1, 5))
def test_training_shares_no_recording_with_what_measures(recordings: list[Recording], fold: int | None) -> None:
    kept, left_out = split_left_out(recordings, fold)
    assert left_out == [one for one in recordings if collection_of(one) in left_out_collections()]
    tested = [one for one in recordings if fold is not None and one.fold == fold]
    measured = {original(one) for one in [*left_out, *tested]}
    assert not {original(one) for one in kept} & measured
    # Nothing else is lost, and the order stays.
    assert kept == [one for one in recordings if original(one) not in measured]


def test_it_holds_for_collections_as_they_are_read(tmp_path: Path) -> None:
    pool = tmp_path / "events"
    for name in ("noixer/train.wav", "petz/same_train.wav", "petz/dog.wav"):
        (pool / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (pool / "audio" / name).touch()
    (pool / "manifest.csv").write_text(
        "path,audioset_label,split_group\nnoixer/train.wav,Train,fs:1\npetz/same_train.wav,Train,fs:1\n"
        "petz/dog.wav,Dog,fs:2\n"
    )
    kept, left_out = split_left_out(read_recordings(pool))
    assert [one.path.name for one in kept] == ["dog.wav"]
    assert [one.path.name for one in left_out] == ["train.wav"]


def test_a_list_of_ones_own_names_collections(tmp_path: Path) -> None:
    file = tmp_path / "strangers.txt"
    file.write_text("# to choose by\npetz  # dogs\n\n mk48\n", encoding="utf-8")
    assert read_collections(file) == {"petz", "mk48"}
    file.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(WrongUse, match="names no collection; it lists collections, a name a line"):
        read_collections(file)
    file.write_bytes(b"\xff\xfe")
    for bad in (file, tmp_path / "none.txt", tmp_path):
        with pytest.raises(WrongUse, match="cannot be read"):
            read_collections(bad)


@given(RECORDINGS)
def test_collections_to_choose_by_share_no_recording_with_the_others(recordings: list[Recording]) -> None:
    others, named = split_collections(recordings, {"petz"})
    assert named == [one for one in recordings if collection_of(one) == "petz"]
    assert others == [one for one in recordings if original(one) not in {original(each) for each in named}]
