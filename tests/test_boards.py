"""The estimates for boards that the documents show are those that the benchmark prints."""

from bench.boards.estimate import BOARDS, share_of_a_core, table
from tests.conftest import ROOT


def test_the_table_of_the_page_is_what_is_printed() -> None:
    assert "\n".join(table()) in (ROOT / "docs" / "raspberry-pi.md").read_text(encoding="utf-8")


def test_half_the_clock_is_twice_the_share() -> None:
    board = BOARDS[0]
    assert share_of_a_core(board._replace(ghz=board.ghz / 2), 1e6) == 2 * share_of_a_core(board, 1e6)
    assert share_of_a_core(board, 200e6) == 1.0
