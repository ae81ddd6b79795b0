"""What is opened anew for another configuration, and for secrets that were renewed."""

from pathlib import Path

import pytest

from asit_edge.config.root import Config
from asit_edge.deliver.changing import other_sinks
from asit_edge.deliver.delivery import Delivery
from asit_edge.errors import WrongUse
from asit_edge.model.bundle import load_bundle


def test_a_renewed_password_opens_another_connection_and_nothing_else_does(tmp_path: Path, tone_bundle: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("first")
    settings = {"device": "hall", "mqtt": {"host": "broker", "password_file": str(secret)}}
    config = Config.model_validate({**settings, "store": {"path": str(tmp_path / "events.db")}})
    delivery = Delivery(config, load_bundle(tone_bundle).manifest)
    assert delivery.prepare(config, config).broker is None
    fresh = tmp_path / "fresh"
    fresh.write_text("second")
    fresh.replace(secret)
    prepared = delivery.prepare(config, config)
    assert prepared.broker is not None
    assert prepared.workers == []
    secret.unlink()
    with pytest.raises(WrongUse, match="mqtt.password_file"):
        delivery.prepare(config, config)
    delivery.stop(0)


def test_sinks_that_are_as_they_were_are_left_alone() -> None:
    one, two = {"type": "file", "name": "a", "path": "/x/a"}, {"type": "file", "name": "b", "path": "/x/b"}
    before = Config.model_validate({"sinks": [one, two]})
    after = Config.model_validate({"sinks": [{**two, "max_mb": 1}, one, {**one, "name": "c"}]})
    assert other_sinks(before, after) == {"b", "c"}
