"""Curves of a run: what was recorded is what is drawn."""

import json
from pathlib import Path

import pytest

from asit_edge.errors import AsitEdgeError, WrongUse
from trainer.curves import draw_curves, main, read_metrics


def write(folder: Path, lines: list[str]) -> Path:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def line(step: int, loss: float) -> str:
    return json.dumps({"step": step, "loss/global": loss, "entropy/teacher class": 1.0, "entropy/student class": 2.0})


def test_a_step_that_was_repeated_after_a_resume_counts_once_and_a_cut_off_last_line_not_at_all(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [line(1, 9.0), line(2, 8.0), line(2, 7.0), line(3, 6.0)[:20]])
    assert {step: entry["loss/global"] for step, entry in read_metrics(run).items()} == {1: 9.0, 2: 7.0}


def test_every_run_has_its_line_and_points_are_means(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [line(step, float(step)) for step in (1, 2, 3, 4, 5)])
    figure = draw_curves({"a": read_metrics(run), "b": read_metrics(run)}, smooth=2)
    panels = {axes.get_title(): axes for axes in figure.axes}
    lines = panels["global loss"].lines
    assert [drawn.get_label() for drawn in lines] == ["a", "b"]
    assert lines[0].get_xydata().tolist() == [[1.5, 1.5], [3.5, 3.5], [5.0, 5.0]]
    assert len(panels["class entropy (nat)"].lines) == 4
    assert not panels["local loss"].lines


def test_the_picture_is_written(tmp_path: Path) -> None:
    run = write(tmp_path / "run", [line(1, 1.0)])
    main([run], tmp_path / "docs" / "curves.png", 1)
    assert (tmp_path / "docs" / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(WrongUse, match=r"--out .*curves\.xyz: cannot be written"):
        main([run], tmp_path / "curves.xyz", 1)


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [([], WrongUse, "holds no step"), (["oops", line(2, 1.0)], AsitEdgeError, r"metrics\.jsonl:1: not a line")],
)
def test_what_is_not_a_run_is_said(tmp_path: Path, lines: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_metrics(write(tmp_path / "run", lines))
    with pytest.raises(WrongUse, match="must be a folder of trainer.pretrain"):
        read_metrics(tmp_path)
