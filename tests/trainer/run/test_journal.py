import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.run.journal import METRICS, Journal


def record(folder: Path, first: int, last: int, loss: float) -> None:
    journal = Journal(folder, first, 10)
    for step in range(first + 1, last + 1):
        journal.record(step, {"loss/total": loss})
    journal.close()


@pytest.mark.parametrize("cut_off", ["", '{"step": 6, "loss/to'])
def test_what_is_done_again_is_written_once(tmp_path: Path, cut_off: str) -> None:
    record(tmp_path, 0, 5, loss=1.0)
    with (tmp_path / METRICS).open("a") as file:
        file.write(cut_off)  # by a kill in the middle of a line
    record(tmp_path, 3, 8, loss=2.0)  # goes on from a checkpoint of step 3
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["loss/total"] for line in lines] == [1.0] * 3 + [2.0] * 5
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss/total")] == [
        *((step, 1.0) for step in (1, 2, 3)),
        *((step, 2.0) for step in range(4, 9)),
    ]


def test_a_new_run_in_an_old_folder_begins_its_journal_anew(tmp_path: Path) -> None:
    record(tmp_path, 0, 5, loss=1.0)
    record(tmp_path, 0, 2, loss=3.0)
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [line["loss/total"] for line in lines] == [3.0, 3.0]
