from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from asit_edge.errors import WrongUse
from trainer.run.settings import changed, checked, parse_settings


@dataclass(frozen=True)
class Inner:
    gain: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    rate: float = 0.1
    batch: int = 8
    balanced: bool = False
    epochs: int | None = None
    front_end: str = "own"
    crops: Inner = field(default_factory=Inner)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    data: str
    seed: int = 0


def test_values_are_taken_as_their_keys_need_them() -> None:
    settings = parse_settings(["rate=1", "batch=2.0", "balanced=true", "epochs=1e1", "crops.gain=[1, 2]"])
    assert changed(Outer(), settings) == Outer(1.0, 2, True, 10, crops=Inner((1.0, 2.0)))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bacth=2", "--set bacth: unknown .did you mean 'batch'"),
        ("front_end=x", "--set front_end: unknown"),
        ("crops=1", "--set crops: unknown"),
        ("crops.gian=1", "did you mean 'crops.gain'"),
        ("batch=2.5", "--set batch=2.5: must be like 8"),
        ("batch=true", "must be like 8"),
        ("balanced=1", "must be like False"),
        ("rate=", "--set rate=None: must be like 0.1"),
        ("rate", "--set rate: must be key=value"),
        ("rate=[", "the value is not YAML"),
    ],
)
def test_what_is_wrong_is_named(setting: str, message: str) -> None:
    with pytest.raises(WrongUse, match=message):
        changed(Outer(), parse_settings([setting]), fixed=["front_end"])


def test_a_model_names_each_wrong_key() -> None:
    assert checked(Strict, {"data": "x", "seed": 3}).seed == 3
    with pytest.raises(WrongUse, match=r"data: must be given; sede: no such setting; there are data, seed"):
        checked(Strict, {"sede": 1})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_back(value: float) -> None:
    assert changed(Outer(), parse_settings([f"rate={value!r}"])).rate == value
