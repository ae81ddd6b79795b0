"""The estimate of what 5,800 hours of distillation take, from the steps of this machine."""

import re

import pytest

from bench.lab.distill_step import bench


def test_the_parts_of_a_step_are_measured_and_the_whole_is_reckoned_from_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench(size="nano", teacher=0.1, batch=1, hours=64.0, passes=2.0, gpus=2, workers=3, repeats=1)
    said = capsys.readouterr().out
    parts = [float(found) for found in re.findall(r" ([\d.]+) ms a scene", said)]
    assert len(parts) == 5
    assert min(parts) > 0
    feed = float(re.findall(r"a worker: (\d+) scenes/s", said)[0])
    assert feed == pytest.approx(1000 / parts[0], abs=1, rel=0.01)
    assert "64 h, each heard 2 times: 0.1 M scenes" in said
    hours, waits = re.findall(r"on 2 GPUs with 3 workers each: ([\d.]+) h, which (the workers|the GPUs) decide", said)[
        0
    ]
    if waits == "the workers":
        assert float(hours) == pytest.approx(64 * 2 * 3600 / 6.4 / (2 * 3 * feed) / 3600, abs=0.06)
