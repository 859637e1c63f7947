import hashlib

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from netspec.errors import InvalidSpec
from netspec.operators import (
    OPERATOR,
    Classifier,
    HeadConv,
    MBConv,
    Operator,
    StemConv,
    content_hash,
    operator_from_key,
)
from tests.unit.netspec.strategies import operators

BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=6, residual=True)


@given(operator=operators())
@settings(max_examples=200, deadline=None)
def test_key_names_its_operator(operator: Operator) -> None:
    assert operator_from_key(operator.key) == operator


@given(operator=operators())
@settings(max_examples=200, deadline=None)
def test_json_form_round_trips_with_its_hash(operator: Operator) -> None:
    again = OPERATOR.validate_json(operator.model_dump_json())
    assert again == operator
    assert type(again) is type(operator)
    assert again.content_hash == operator.content_hash


@given(one=operators(), other=operators())
@settings(max_examples=200, deadline=None)
def test_key_and_hash_are_equal_only_for_equal_operators(one: Operator, other: Operator) -> None:
    assert (one.key == other.key) == (one == other)
    assert (one.content_hash == other.content_hash) == (one == other)


class _Incomparable:
    def __eq__(self, other: object) -> bool:
        raise AssertionError("what was computed of the fields was compared")

    __hash__ = None  # type: ignore[assignment]


@given(one=operators(), other=operators())
@settings(max_examples=200, deadline=None)
def test_operators_are_compared_by_kind_and_fields_alone(one: Operator, other: Operator) -> None:
    twin, differs = one.model_copy(), one.model_dump() != other.model_dump()
    for operator in (one, twin, other):
        vars(operator)["computed"] = _Incomparable()
    assert one == twin
    assert hash(one) == hash(twin)
    assert (one != other) == differs
    assert one != one.key


def test_every_field_is_in_the_key() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"input_size": 57},
        {"kernel": 7},
        {"expand": 3},
        {"residual": False},
        {"residual": False, "stride": 2},
        {"residual": False, "out_channels": 32},
        {"residual": False, "in_channels": 32},
        {"activation": "relu"},
        {"precision": "int8"},
    ]
    variants = [MBConv.model_validate({**BLOCK.model_dump(), **change}) for change in changes]
    assert len({variant.key for variant in variants}) == len(changes)
    assert len({variant.content_hash for variant in variants}) == len(changes)


@pytest.mark.parametrize(
    ("operator", "key"),
    [
        (
            StemConv(input_size=225, in_channels=3, out_channels=32, stride=2),
            "stem-in:225x225x3-out:113x113x32-kernel:3-stride:2-act:relu6-float32",
        ),
        (
            BLOCK.with_precision("int8"),
            "mbconv-in:56x56x24-out:56x56x24-kernel:5-expand:6-stride:1-residual:1-act:relu6-int8",
        ),
        (
            HeadConv(input_size=7, in_channels=320, out_channels=1280, activation="relu"),
            "head-in:7x7x320-out:7x7x1280-act:relu-float32",
        ),
        (
            Classifier(input_size=7, in_channels=1280, out_channels=1000),
            "classifier-in:7x7x1280-out:1x1x1000-float32",
        ),
    ],
)
def test_keys_read_as_documented(operator: Operator, key: str) -> None:
    assert operator.key == key
    assert operator_from_key(key) == operator


def test_content_hash_is_that_of_sorted_compact_json() -> None:
    text = '{"a":[1,2.5],"b":"\\u00e9"}'
    assert content_hash({"b": "é", "a": [1, 2.5]}) == hashlib.sha256(text.encode()).hexdigest()


def test_operator_hash_is_that_of_all_its_fields() -> None:
    text = (
        '{"in_channels":8,"input_size":7,"kind":"classifier","out_channels":10,'
        '"precision":"float32"}'
    )
    operator = Classifier(input_size=7, in_channels=8, out_channels=10)
    assert operator.content_hash == hashlib.sha256(text.encode()).hexdigest()


def test_another_precision_has_another_hash() -> None:
    float32_hash = BLOCK.content_hash
    int8 = BLOCK.with_precision("int8")
    assert int8.content_hash != float32_hash
    assert int8.content_hash == operator_from_key(int8.key).content_hash
    assert int8.with_precision("float32") == BLOCK


@pytest.mark.parametrize(
    ("size", "stride", "output_size"), [(224, 2, 112), (7, 2, 4), (7, 1, 7), (1, 2, 1)]
)
def test_output_size_rounds_up(size: int, stride: int, output_size: int) -> None:
    block = MBConv.model_validate(
        {"input_size": size, "in_channels": 8, "out_channels": 16, "expand": 3, "stride": stride}
    )
    assert block.output_size == output_size


@pytest.mark.parametrize(("stride", "out_channels"), [(2, 24), (1, 32), (2, 32)])
def test_residual_needs_equal_shapes(stride: int, out_channels: int) -> None:
    fields = {**BLOCK.model_dump(), "stride": stride, "out_channels": out_channels}
    with pytest.raises(ValidationError, match=f"got stride {stride}, 24 -> {out_channels}"):
        MBConv.model_validate(fields)
    assert MBConv.model_validate({**fields, "residual": False}).out_channels == out_channels


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"kernel": 4}, "kernel"),
        ({"stride": 3}, "stride"),
        ({"input_size": 0}, "input_size"),
        ({"in_channels": -1}, "in_channels"),
        ({"precision": "float16"}, "precision"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_impossible_operators_are_refused(change: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        MBConv.model_validate({**BLOCK.model_dump(), **change})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "is not an operator key; expected for instance 'mbconv-"),
        ("Logits-input:7x7x1280-output:1000", "is not an operator key"),
        ("head-in:7x8x320-out:7x7x1280-act:relu6-int8", "is not an operator key"),
        ("head-in:7x7x320-out:7x7x1280-act:gelu-int8", "names no operator: head.activation"),
        (BLOCK.key.replace("kernel:5", "kernel:4"), "names no operator: mbconv.kernel"),
        (BLOCK.key.replace("-expand:6", ""), "names no operator: mbconv.expand"),
        (BLOCK.key.replace("stride:1", "stride:2"), "a residual needs stride 1"),
        (BLOCK.key.replace("-act", "-groups:2-act"), "names no operator: mbconv.groups"),
        (BLOCK.key.replace("out:56x56", "out:55x55"), f"did you mean '{BLOCK.key}'"),
        (BLOCK.key.replace("in:56x56x24", "in:056x056x24"), f"did you mean '{BLOCK.key}'"),
        (BLOCK.key.replace("kernel:5", "kernel:3-kernel:5"), f"did you mean '{BLOCK.key}'"),
    ],
)
def test_unknown_keys_say_what_is_wrong(key: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        operator_from_key(key)
    assert message in str(caught.value)
    assert repr(key) in str(caught.value)
    assert "\n" not in str(caught.value)
