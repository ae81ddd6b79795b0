"""Times that recorders write into file names."""

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asit_edge.audio.clock import parse_iso
from asit_edge.audio.sources.name_time import time_in_name


@pytest.mark.parametrize(
    "stem",
    [
        "20240501_030000",
        "20240501_030000T",
        "SITE_20240501_030000",
        "S4A01234_20240501_030000",
        "12345_20240501-030000_ch1",
        "20240501030000",
        "rec 20240501T030000",
        "2024-05-01T03-00-00",
        "2024-05-01_03-00-00",
        "2024-05-01 03.00.00",
        "2024-05-01 03:00:00 copy",
        "2024-05-01-birdnet-03:00:00",
        "2024_05_01_03h00m00",
        "240501_030000",
        "240501-030000_Tr1",
    ],
)
def test_the_time_of_a_recorder_is_found(stem: str) -> None:
    assert time_in_name(stem) == "2024-05-01T03:00:00"


@pytest.mark.parametrize(
    ("stem", "time"),
    [
        ("20240501T030000+0200_REC", "2024-05-01T03:00:00+02:00"),
        ("20240501T030000-09:30", "2024-05-01T03:00:00-09:30"),
        ("2024-05-01T03-00-00Z", "2024-05-01T03:00:00Z"),
        ("5B1C7E40", "2018-06-10T01:26:24Z"),
    ],
)
def test_a_zone_in_the_name_is_kept(stem: str, time: str) -> None:
    assert time_in_name(stem) == time
    parse_iso(time)


@pytest.mark.parametrize(
    "stem",
    [
        *["", "demo", "tones", "a" * 250, "20240501", "20241301_030000", "20240501_250000", "123456_123456"],
        *["1-100032-A-0", "ZOOM0001", "5F", "FFFFFFFF", "12345678", "120240501_030000", "20240501_0300001", "DEADBEEF"],
    ],
)
def test_other_digits_are_no_time(stem: str) -> None:
    assert time_in_name(stem) is None


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)), st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%d %H-%M-%S"])
)
def test_every_moment_is_found(moment: datetime, form: str) -> None:
    assert time_in_name(f"a_{moment.strftime(form)}_b") == moment.replace(microsecond=0).isoformat()


@given(st.text(max_size=40))
def test_no_name_is_too_odd(stem: str) -> None:
    found = time_in_name(stem)
    assert found is None or re.match(r"\d{4}-\d\d-\d\dT", found)
