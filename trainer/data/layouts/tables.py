"""Tables as people have them: csv and tsv from spreadsheets of any system, read as rows of text.

Understood are UTF-8 and UTF-16 (with their marks), commas, semicolons and tabs. What a table means is not decided here.
"""

import codecs
import csv
from pathlib import Path

from asit_edge.errors import WrongUse

DELIMITERS = ",;\t"

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""What a file begins with, to how it is written."""


def read_text(table: Path) -> str:
    """A table's text. Raises WrongUse that says how to save it where it is in no encoding that can be told."""
    try:
        content = table.read_bytes()
    except OSError as error:
        raise WrongUse(f"{table}: cannot be read ({error.strerror})") from None
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise WrongUse(f"{table}: is neither UTF-8 nor marked UTF-16; save it again as CSV UTF-8")
    return text


def delimiter_of(header: str) -> str:
    """Whichever of comma, semicolon and tab stands in a header most often; the comma in one of a single column."""
    return max(DELIMITERS, key=header.count)


def read_cells(table: Path) -> list[list[str]]:
    """The cells of every row that is no comment (#), spaces after delimiters left out."""
    lines = [line for line in read_text(table).splitlines() if line.strip() and not line.startswith("#")]
    delimiter = delimiter_of(lines[0]) if lines else ","
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise WrongUse(f"{table}: cannot be read as a table ({error})") from None


def read_rows(table: Path) -> list[dict[str, str]]:
    """The rows under the header, cells by the name of their column."""
    lines = read_text(table).splitlines(keepends=True)
    try:
        return list(csv.DictReader(lines, delimiter=delimiter_of(lines[0]) if lines else ","))
    except csv.Error as error:
        raise WrongUse(f"{table}: cannot be read as a table ({error})") from None


def find_file(name: str, *folders: Path) -> Path | None:
    """The file of that name in one of the folders; Windows' backslashes count as slashes where there is none so."""
    for spelled in dict.fromkeys((name, name.replace("\\", "/"))):
        for folder in folders:
            if (folder / spelled).is_file():
                return folder / spelled
    return None
