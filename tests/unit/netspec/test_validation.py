from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from netspec.operators import MBConv
from netspec.validation import FrozenModel, first_problem


class Target(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["target"] = "target"
    weight: float = 1.0


class Linear(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["linear"] = "linear"
    strength: float = 1.0


class Recipe(BaseModel):
    model_config = ConfigDict(extra="forbid")
    loss: Annotated[Target | Linear, Field(discriminator="kind")] = Target()
    losses: Annotated[list[Target], Field(max_length=3)] = []
    names: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] = ["one"]
    augment: bool = True
    mode: Literal["full", "two"] = "full"
    epochs: int | None = None


BLOCK = {"input_size": 8, "in_channels": 8, "out_channels": 8, "expand": 3}


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([BLOCK, {**BLOCK, "kernel": 4}], "1.kernel: expected 1, 3, 5, 7, 9 or 11, got 4"),
        (
            [{**BLOCK, "stride": 2, "residual": True}],
            "0: a residual needs stride 1",
        ),
        ("no list", "expected a valid list, got 'no list'"),
    ],
)
def test_where_and_what(blocks: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[MBConv]).validate_python(blocks)
    assert first_problem(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epoch": 3}, "epoch: there is no such value; did you mean 'epochs'?"),
        (
            {"colour": 3},
            "colour: there is no such value; expected one of: augment, epochs, loss, losses",
        ),
        (
            {"loss": {"kind": "target", "wait": 1}},
            "loss.target.wait: there is no such value; did you mean 'weight'?",
        ),
        (
            {"loss": {"kind": "linear", "wait": 1}},
            "loss.linear.wait: there is no such value; expected one of: kind, strength",
        ),
        (
            {"losses": [{"wait": 1}]},
            "losses.0.wait: there is no such value; did you mean 'weight'?",
        ),
        ({"loss": {"kind": "linea"}}, "loss: there is no kind 'linea'; did you mean 'linear'?"),
        ({"loss": {"weight": 1}}, "loss: kind is missing"),
        ({"mode": "ful"}, "mode: is 'ful'; did you mean 'full'?"),
        ({"epochs": "x" * 99}, "epochs: expected a whole number, got 'xxx"),
        ({"epochs": 1.5}, "epochs: expected a whole number, got 1.5"),
        ({"loss": {"kind": "target", "weight": "1,5"}}, "loss.target.weight: expected a number"),
        ({"losses": [{}] * 4}, "losses: expected at most 3 items, got 4"),
        ({"names": []}, "names: expected at least 1 item, got 0"),
        ({"names": [""]}, "names.0: expected at least 1 character, got ''"),
        ({"augment": "ja"}, "augment: expected true or false, got 'ja'"),
    ],
)
def test_misspelt_names_are_answered_with_the_likeliest(values: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(values)
    assert first_problem(caught.value, Recipe).startswith(said)
    assert " should " not in first_problem(caught.value, Recipe)
    assert len(first_problem(caught.value)) < 150


def test_without_the_model_nothing_is_suggested() -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({"epoch": 3})
    assert first_problem(caught.value) == "epoch: there is no such value"


class Side(FrozenModel):
    length: int

    @cached_property
    def area(self) -> int:
        return self.length**2


def test_a_copy_with_other_values_does_not_keep_what_was_computed_of_the_old_ones() -> None:
    side = Side(length=2)
    assert side.area == 4
    assert side.model_copy(update={"length": 3}).area == 9
    assert side.model_copy() == side
    assert side.area == 4
