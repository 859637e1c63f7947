import numpy as np
import pytest

from search_client.verify import Parity, ParityFailed, compare, require

OF_TORCH = np.array([[1, 2], [3, 1], [0, 4], [2, 1.5]], np.float32)
#: chooses otherwise in the last row, where it is 1.25 away
OF_FILE = np.array([[1, 2.5], [3, 1], [0, 4], [2, 2.75]], np.float32)
LABELS = np.array([1, 1, 1, 1])


def test_logits_are_compared_number_by_number() -> None:
    assert compare(OF_FILE, OF_TORCH, LABELS, 0.25) == Parity(
        accuracy=0.75, top1_agreement=0.75, max_difference=1.25, max_steps=5
    )
    assert compare(OF_TORCH, OF_TORCH, LABELS, None) == Parity(0.5, 1.0, 0.0, None)


def float_parity(difference: float) -> Parity:
    return Parity(accuracy=0.5, top1_agreement=1.0, max_difference=difference, max_steps=None)


def int8_parity(agreement: float) -> Parity:
    return Parity(accuracy=0.5, top1_agreement=agreement, max_difference=9.0, max_steps=9)


@pytest.mark.parametrize(("greatest", "limit"), [(4.0, 4e-3), (0.5, 1e-3)])
def test_float32_may_differ_by_a_thousandth_of_the_greatest_logit(
    greatest: float, limit: float
) -> None:
    logits = np.array([[-greatest, 0.25]], np.float32)
    require(float_parity(0.99 * limit), "float32", logits, "net")
    with pytest.raises(ParityFailed, match=r"net: logits of the float32 file differ .* by 0\.00"):
        require(float_parity(1.01 * limit), "float32", logits, "net")


def test_int8_may_disagree_on_one_image_of_two_hundred() -> None:
    require(int8_parity(199 / 200), "int8", OF_TORCH, "net")
    with pytest.raises(ParityFailed, match=r"net: the int8 file agrees .* on 99\.49%"):
        require(int8_parity(0.9949), "int8", OF_TORCH, "net")
