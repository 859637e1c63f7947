import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.layers import ActivationRange
from netspec.quantization import affine_of
from search_client.quantization.ranges import FakeQuantizedActivation, affine_tensors

FLOATS = st.floats(-1e4, 1e4, width=32)


@settings(max_examples=300, deadline=None)
@given(FLOATS, FLOATS)
def test_scale_and_zero_point_are_netspecs_to_the_bit(one: float, other: float) -> None:
    low, high = sorted((one, other))
    wanted = affine_of(ActivationRange(low, high))
    scale, zero_point = affine_tensors(torch.tensor(low), torch.tensor(high))
    assert (scale.item(), zero_point.item()) == (wanted.scale, wanted.zero_point)


def test_values_are_rounded_as_netspec_rounds_them() -> None:
    activation = FakeQuantizedActivation()
    x = torch.linspace(-3.0, 5.0, 1001)
    rounded, scale, _ = activation(x)
    assert scale is not None
    affine = affine_of(ActivationRange(-3.0, 5.0))
    assert scale.item() == affine.scale
    wanted = affine.dequantize(affine.quantize(x.numpy()))
    # a value halfway between two codes may go either way
    assert (np.abs(rounded.numpy() - wanted) > 1e-6).mean() < 0.01
    assert np.abs(rounded.numpy() - wanted).max() < 1.01 * affine.scale


def test_the_first_batch_sets_the_range_and_later_ones_move_it() -> None:
    activation = FakeQuantizedActivation()
    activation(torch.tensor([-1.0, 3.0]))
    assert activation.observed() == ActivationRange(-1.0, 3.0)
    activation(torch.tensor([-2.0, 5.0]))
    moved = activation.observed()
    assert (moved.low, moved.high) == pytest.approx((-1.05, 3.1))


@pytest.mark.parametrize("still", ["evaluation", "frozen"])
def test_a_range_stays_in_evaluation_and_once_frozen(still: str) -> None:
    activation = FakeQuantizedActivation()
    activation(torch.tensor([0.0, 1.0]))
    if still == "frozen":
        activation.freeze()
    else:
        activation.eval()
    rounded = activation(torch.tensor([0.5, 9.0])).values
    assert activation.observed() == ActivationRange(0.0, 1.0)
    assert rounded[1].item() == pytest.approx(1.0)


def test_the_exported_range_holds_zero() -> None:
    activation = FakeQuantizedActivation()
    activation(torch.tensor([2.0, 3.0]))
    assert activation.observed() == ActivationRange(0.0, 3.0)


def test_a_range_ends_where_the_activation_does() -> None:
    activation = FakeQuantizedActivation("relu6")
    rounded = activation(torch.tensor([-3.0, 2.0, 9.0])).values
    assert activation.observed() == ActivationRange(0.0, 6.0)
    assert rounded.tolist() == pytest.approx([0.0, 2.0, 6.0], abs=0.012)
