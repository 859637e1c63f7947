# ruff: noqa: RUF001 - pages have signs and dashes
from __future__ import annotations

import pytest

from netspec.operators import MBConv
from profiler_server.dashboard import wording
from profiler_server.subjects.shapes import Shape


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "+0.0 %"), (-0.04, "+0.0 %"), (-1.25, "−1.2 %"), (3.14, "+3.1 %")]
)
def test_errors_have_a_sign_and_nothing_has_a_plus(value: float, shown: str) -> None:
    assert wording.signed_percent(value) == shown


def test_what_is_unusual_of_a_shape_is_said() -> None:
    usual = {"input_size": 56, "in_channels": 24, "out_channels": 24, "expand": 6}
    kept = Shape.of(MBConv.model_validate({**usual, "residual": True}))
    assert (wording.sizes(kept), wording.manner(kept)) == ("56²×24 → 56²×24", "")
    without = Shape.of(MBConv.model_validate({**usual, "activation": "relu"}))
    assert wording.manner(without) == "no residual, relu"
    halved = Shape.of(MBConv.model_validate({**usual, "stride": 2}))
    assert (wording.sizes(halved), wording.manner(halved)) == ("56²×24 → 28²×24", "stride 2")


def test_keys_are_put_into_words_and_other_names_stay() -> None:
    key = "mbconv-in:56x56x24-out:28x28x40-kernel:5-expand:6-stride:2-residual:0-act:relu6-int8"
    assert wording.subject_title(key) == "MBConv 56²×24 → 28²×40, kernel 5, expand 6, stride 2"
    assert wording.subject_title("classifier-in:7x7x8-out:1x1x2-int8") == "Classifier 7²×8 → 1²×2"
    key = (
        "bottleneck-in:28x28x40-out:28x28x40-kernel:5-middle:120-squeeze:32-gate:hard_sigmoid"
        "-stride:1-residual:0-act:hard_swish-int8"
    )
    assert wording.subject_title(key) == (
        "Bottleneck 28²×40 → 28²×40, kernel 5, middle 120, squeeze 32, gate hard_sigmoid, "
        "no residual, hard swish"
    )
    assert wording.subject_title("my network") == "my network"


def test_a_precision_is_said_where_it_is_known() -> None:
    assert wording.precision("int8", "network") == "int8"
    assert wording.precision(None, "network") == "mixed"
    assert wording.precision(None, "model") == "as in the file"
