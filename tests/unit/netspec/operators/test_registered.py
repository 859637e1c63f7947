"""What a class must be to be an operator, and where operators come from."""

from importlib.metadata import EntryPoint
from typing import ClassVar, Literal

import pytest

from netspec.errors import InvalidSpec
from netspec.layers import LayerGraph, Value
from netspec.operators import MBConv, OperatorBase, registered, registered_operators


class Halving(OperatorBase):
    """Says that it keeps its side, and does not."""

    kind: Literal["halving"] = "halving"

    def build(self, graph: LayerGraph, x: Value) -> Value:
        return graph.max_pool("pool", x, 2, 2)


class Repeated(OperatorBase):
    """Has MBConv's kind."""

    kind: Literal["mbconv"] = "mbconv"


class Unbuilt(OperatorBase):
    """Says nothing of its layers."""

    kind: Literal["unbuilt"] = "unbuilt"


def test_installed_packages_add_their_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    own = registered_operators()
    found = (EntryPoint("halving", "unused", registered.GROUP),)
    monkeypatch.setattr(EntryPoint, "load", lambda _: Halving)
    monkeypatch.setattr(registered, "entry_points", lambda group: found * (group != ""))
    assert registered_operators() == (*own, Halving)


@pytest.mark.parametrize(
    ("loaded", "says"),
    [
        (Repeated, "is of the kind 'mbconv', which MBConv has; give it a kind of its own"),
        (Unbuilt, "has no method `build`, which puts its layers together"),
        (int, "is no operator; expected a class of OperatorBase"),
        ("text", "is no operator"),
    ],
)
def test_what_cannot_be_registered_is_refused_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, loaded: object, says: str
) -> None:
    found = (EntryPoint("odd", "my_package:Odd", registered.GROUP),)
    monkeypatch.setattr(EntryPoint, "load", lambda _: loaded)
    monkeypatch.setattr(registered, "entry_points", lambda group: found * (group != ""))
    with pytest.raises(InvalidSpec, match=says) as caught:
        registered_operators()
    assert "odd = my_package:Odd" in str(caught.value)


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (EntryPoint("lost", "no_such_package:Lost", registered.GROUP),)
    monkeypatch.setattr(registered, "entry_points", lambda group: found * (group != ""))
    with pytest.raises(InvalidSpec, match=r"no_such_package:Lost of the group .* loaded: No"):
        registered_operators()


def test_a_field_outside_the_key_is_refused_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match=r"\['taps'\], but key_fields names \['kernel'\]"):

        class _Forgetful(OperatorBase):
            key_fields: ClassVar = ("kernel",)
            kind: Literal["forgetful"] = "forgetful"
            taps: int


def test_layers_that_give_another_shape_than_the_fields_are_refused() -> None:
    with pytest.raises(InvalidSpec, match="its layers give 2 px x 3, its fields say 4 px x 3"):
        _ = Halving(input_size=4, in_channels=3, out_channels=3).layers


def test_a_copy_keeps_nothing_that_follows_from_the_old_values() -> None:
    block = MBConv(input_size=8, in_channels=4, out_channels=4, expand=3)
    before = block.layers, block.content_hash
    wider = block.model_copy(update={"expand": 6})
    assert wider.layers[0].out_channels == 24
    assert wider.content_hash != before[1]
    assert (block.layers, block.content_hash) == before
