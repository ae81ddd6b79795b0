"""The dashboard, the alarms and the documents ask for metrics that a real listener gives out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from asit_edge.metrics import names
from tests.conftest import ROOT
from tests.metrics.conftest import Told
from tests.metrics.listening import samples

FOLDER = ROOT / "docs" / "grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "asit-edge.json").read_text(encoding="utf-8"))

METRIC = re.compile(r"\b(?:asit|process)_[a-z_]+\b")
SELECTOR = re.compile(r"\{([^}]*)\}")

ABSENT_HERE = {"asit_temperature_celsius"}
"""What depends on the machine."""


def queries() -> list[str]:
    """Of every panel."""
    return [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", [])]


def rules() -> list[str]:
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def given(exposition: bytes) -> dict[str, set[str]]:
    """Names of samples with the names of their labels; those that Prometheus adds to all are theirs, too."""
    found: dict[str, set[str]] = {}
    for name, labels in samples(exposition):
        found.setdefault(name, {"instance", "job"}).update(label for label, _ in labels)
    return found


def asked(query: str) -> Iterator[tuple[str, set[str]]]:
    """Names of metrics in a query, with the labels by which it selects."""
    for metric in METRIC.finditer(query):
        selector = SELECTOR.match(query, metric.end())
        yield metric[0], set(re.findall(r"(\w+)\s*(?:=~|!=|=|!~)", selector[1])) if selector else set()


@pytest.mark.parametrize("query", sorted({*queries(), *rules()}))
def test_every_query_asks_for_what_a_listener_gives_out(query: str, told: Told) -> None:
    known = given(told.exposition)
    wanted = list(asked(query))
    assert wanted or query == 'up{job="asit-edge"} == 0'
    for name, labels in wanted:
        if name not in ABSENT_HERE:
            assert name in known
            assert labels <= known[name], name


def test_legends_name_labels_that_there_are(told: Told) -> None:
    known = given(told.exposition)
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            labels = {label for name, _ in asked(target["expr"]) for label in known.get(name, {"zone"})}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, panel["title"]


def test_a_query_for_nothing_is_found() -> None:
    """The tests above can fail."""
    query = 'sum by (le) (rate(asit_nothing_bucket{source="a",x!~"b"}[5m])) / asit_healthy'
    assert list(asked(query)) == [("asit_nothing_bucket", {"source", "x"}), ("asit_healthy", set())]


def test_every_metric_is_shown_or_described(told: Told) -> None:
    """The page of operations has all of them."""
    described = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    given_out = {re.sub(r"_(bucket|count|sum)$", "", name) for name in given(told.exposition)}
    ours = {name for name in given_out if name.startswith("asit_")} | {names.TEMPERATURE.name}
    assert len(ours) > 20
    assert {name for name in ours if f"`{name}" not in described} == set()


def test_panels_lie_side_by_side_and_have_numbers_of_their_own() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_example_of_a_scrape_is_a_configuration() -> None:
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert job["job_name"] == "asit-edge"
    assert job["static_configs"][0]["targets"]
