"""The time at which a recording began, where its recorder wrote it into the file's name."""

import re
from datetime import datetime, timedelta, timezone

_DATES = (
    # AudioMoth, Song Meter, Frontier Labs, most others: 20240501_030000, SITE_20240501_030000, 20240501T030000+0200
    r"(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)[-_T ]?(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)",
    # BirdNET-Pi and phones: 2024-05-01T03-00-00, 2024-05-01 03.00.00, 2024-05-01-birdnet-03:00:00
    r"(?P<year>(?:19|20)\d\d)[-_.](?P<month>\d\d)[-_.](?P<day>\d\d)(?:[-_T ]+|[-_ ][A-Za-z]+[-_ ])"
    r"(?P<hour>\d\d)[-_.:h](?P<minute>\d\d)[-_.:m](?P<second>\d\d)",
    # Zoom, Sony: 240501_030000
    r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)[-_](?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)",
)
_ZONE = r"(?P<zone>Z|[+-]\d\d:?\d\d)?"
_PATTERNS = [re.compile(rf"(?<!\d){date}(?!\d){_ZONE}") for date in _DATES]

_HEX = re.compile(r"[0-9A-F]{8}")
"""Early AudioMoths: seconds since the epoch in hexadecimal, and nothing else."""

_HEX_YEARS = range(2015, 2031)


def time_in_name(stem: str) -> str | None:
    """ISO 8601 without a zone unless the name has one; None if there is no time in a file's name without its ending."""
    if _HEX.fullmatch(stem):
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=int(stem, 16))
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment.year in _HEX_YEARS else None
    for pattern in _PATTERNS:
        for found in pattern.finditer(stem):
            names = ("year", "month", "day", "hour", "minute", "second")
            year, month, day, hour, minute, second = (int(found.group(name)) for name in names)
            try:
                moment = datetime(year if year > 99 else 2000 + year, month, day, hour, minute, second)
            except ValueError:
                continue  # no such day or hour: other digits
            zone = found.group("zone") or ""
            return moment.isoformat() + (f"{zone[:3]}:{zone[-2:]}" if len(zone) > 1 else zone)
    return None
