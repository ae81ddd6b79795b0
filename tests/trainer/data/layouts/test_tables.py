"""Tables from spreadsheets of any system."""

import codecs
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.errors import WrongUse
from trainer.data.layouts import folder
from trainer.data.layouts.listing import audio_files, list_recordings
from trainer.data.layouts.tables import find_file, read_cells, read_rows

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff"))
ENCODINGS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    delimiter=st.sampled_from(",;\t"),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_wrote_it_the_rows_are_the_same(
    scratch: Path, rows: list[tuple[str, str]], encoding: str, delimiter: str, ending: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending)
    writer.writerow(("path", "label"))
    writer.writerows(rows)
    table = scratch / "labels.csv"
    table.write_bytes(ENCODINGS[encoding] + text.getvalue().encode(encoding))
    assert [(row["path"], row["label"]) for row in read_rows(table)] == rows


@pytest.mark.parametrize(
    "content", ["path,label\nGlöckchen.wav,Bell\n".encode("latin-1"), "path,label\n".encode("utf-16-le")]
)
def test_what_cannot_be_told_says_how_to_save_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(WrongUse, match="CSV UTF-8"):
        read_rows(tmp_path / "labels.csv")


def test_comments_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "segments.csv").write_text('# made by\n# columns\na, 0.0, 10.0, "x,y"\n', encoding="utf-8")
    assert read_cells(tmp_path / "segments.csv") == [["a", "0.0", "10.0", "x,y"]]


def test_windows_paths_are_found_where_they_are_meant(tmp_path: Path) -> None:
    (tmp_path / "Bell").mkdir()
    (tmp_path / "Bell" / "1.wav").touch()
    (tmp_path / "odd\\name.wav").touch()
    assert find_file("Bell\\1.wav", tmp_path) == tmp_path / "Bell" / "1.wav"
    assert find_file("odd\\name.wav", tmp_path) == tmp_path / "odd\\name.wav"
    assert find_file("Bell\\2.wav", tmp_path) is None


def test_a_folder_with_a_table_from_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "Bell").mkdir()
    (tmp_path / "Bell" / "1.wav").touch()
    (tmp_path / "labels.csv").write_bytes("path;label;group\r\nBell\\1.wav;Bell;a\r\n".encode("utf-16"))
    [recording] = folder.read(tmp_path).recordings
    assert (recording.path, recording.labels, recording.group) == (tmp_path / "Bell" / "1.wav", ("Bell",), "a")


def test_hidden_files_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "Bell" / ".trash").mkdir(parents=True)
    for name in ("1.wav", "._1.wav", ".hidden.flac", ".trash/2.wav", ".DS_Store"):
        (tmp_path / "Bell" / name).touch()
    assert audio_files(tmp_path) == [tmp_path / "Bell" / "1.wav"]
    assert [one.name for one in list_recordings(tmp_path, None, {})] == ["Bell/1.wav"]
    assert len(folder.read(tmp_path).recordings) == 1
