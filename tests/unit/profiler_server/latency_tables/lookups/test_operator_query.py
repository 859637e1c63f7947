from typing import Any

import pytest

from netspec.operators import Bottleneck, MBConv
from profiler_server.kit.problems import Problem
from profiler_server.latency_tables.lookups.operator_query import OperatorQuery

SHAPE = {"in": "8", "out": "8", "size": "16", "kernel": "3", "stride": "1"}


def asked(**fields: Any) -> OperatorQuery:
    return OperatorQuery.model_validate({**SHAPE, **fields})


def test_without_a_kind_an_mbconv_is_meant() -> None:
    block = MBConv(input_size=16, in_channels=8, out_channels=8, expand=3, residual=True)
    assert asked(expand="3").operator() == block


def test_every_field_of_a_kind_is_a_parameter() -> None:
    block = Bottleneck(
        input_size=16,
        in_channels=8,
        out_channels=8,
        middle=20,
        squeeze=4,
        gate="sigmoid",
        precision="int8",
    )
    fields = {"middle": "20", "squeeze": "4", "gate": "sigmoid", "residual": "false"}
    assert asked(kind="bottleneck", precision="int8", **fields).operator() == block


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"kind": "botleneck"}, "there is no 'botleneck'; did you mean 'bottleneck'"),
        ({"kind": "bottleneck"}, "middle: is missing"),
        ({"kind": "bottleneck", "middle": "8", "expand": "3"}, "expand: there is no such value"),
        ({"expand": "3", "colour": "red"}, "colour: there is no such value"),
    ],
)
def test_what_no_kind_has_is_refused(fields: dict[str, str], says: str) -> None:
    with pytest.raises(Problem, match=says):
        asked(**fields).operator()


@pytest.mark.parametrize("kind", ["mbconv", "bottleneck", "stem", "conv"])
def test_kernel_and_stride_are_never_guessed(kind: str) -> None:
    query = OperatorQuery.model_validate({"kind": kind, "in": "8", "out": "8", "size": "16"})
    with pytest.raises(Problem, match="kernel, stride: missing"):
        query.operator()


def test_a_kind_without_kernel_needs_none() -> None:
    query = OperatorQuery.model_validate({"kind": "head", "in": "8", "out": "8", "size": "16"})
    assert query.operator().kind == "head"
