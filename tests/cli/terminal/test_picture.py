"""The picture in the README is one of what a terminal shows, and needs nothing from elsewhere."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

PICTURE = ROOT / "docs" / "pictures" / "terminal.svg"


def rows(picture: Path) -> list[str]:
    """Its text, row by row from the top."""
    found: dict[float, str] = {}
    for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text"):
        if "class" in element.attrib and "matrix" not in element.attrib["class"]:
            place = float(element.attrib.get("y", "0"))
            found[place] = found.get(place, "") + (element.text or "").replace("\xa0", " ")
    return [found[place] for place in sorted(found)]


def test_it_shows_what_is_drawn_today(tmp_path: Path) -> None:
    """Scores may differ in their last digit between processors: labels, times and the meter do not."""
    script = runpy.run_path(str(ROOT / "scripts" / "draw-terminal"))
    script["main"].__globals__["PICTURE"] = tmp_path / "terminal.svg"
    script["main"]()

    def words(picture: Path) -> list[str]:
        return [re.sub(r"[\d.\s█▌░-]+", " ", row) for row in rows(picture)]

    assert words(tmp_path / "terminal.svg") == words(PICTURE)
    text = "\n".join(rows(PICTURE))
    assert "Ctrl+C ends" in text
    assert "Baby cry, infant cry" in text
    assert "●" in text


def test_it_loads_nothing() -> None:
    content = PICTURE.read_text(encoding="utf-8")
    assert "@font-face" not in content
    assert not re.search(r"(href|src|url)\s*[=(]\s*['\"]?https?:", content)


def test_the_readme_shows_it() -> None:
    assert "](docs/pictures/terminal.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["docs/operations.md", "README.md"])
def test_options_that_documents_name_are_there(name: str) -> None:
    from typer.main import get_command

    from asit_edge.cli.app import app

    listen = get_command(app).commands["listen"]  # type: ignore[attr-defined]
    options = {text for one in listen.params for text in (*one.opts, *one.secondary_opts)}
    text = (ROOT / name).read_text(encoding="utf-8")
    assert {"--json", "--no-json"} <= options
    assert "`--json`" in text
