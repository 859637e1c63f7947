import numpy as np
import pytest

from search_client.deployment.litert import Kernels
from search_client.deployment.parity import (
    KERNEL_SETS,
    FirstDifference,
    Parity,
    ParityFailed,
    Verification,
    compare,
    require,
)

OF_TORCH = np.array([[1, 2], [3, 1], [0, 4], [2, 1.5]], np.float32)
#: chooses otherwise in the last row, where it is 1.25 away
OF_FILE = np.array([[1, 2.5], [3, 1], [0, 4], [2, 2.75]], np.float32)
LABELS = np.array([1, 1, 1, 1])


def test_logits_are_compared_number_by_number() -> None:
    assert compare(OF_FILE, OF_TORCH, LABELS, 0.25) == Parity(
        accuracy=0.75, top1_agreement=0.75, tied_agreement=1.0, max_difference=1.25, max_steps=5
    )
    assert compare(OF_TORCH, OF_TORCH, LABELS, None) == Parity(0.5, 1.0, 1.0, 0.0, None)


@pytest.mark.parametrize(("scale", "tied"), [(0.125, 1.0), (0.1, 0.75)])
def test_classes_within_four_output_steps_are_tied(scale: float, tied: float) -> None:
    # in the last row the file's choice is 0.5 behind: 4 steps, or 5
    found = compare(OF_FILE, OF_TORCH, LABELS, scale)
    assert (found.top1_agreement, found.tied_agreement) == (0.75, tied)


def verification(greatest: float = 4.0, /, **of_sets: Parity) -> Verification:
    fine = Parity(0.5, 1.0, 1.0, max_difference=0.0, max_steps=0)
    parity: dict[Kernels, Parity] = {name: of_sets.get(name, fine) for name in KERNEL_SETS}
    return Verification(images=4, parity=parity, greatest_logit=greatest, worst_image=0)


def differing(difference: float) -> Parity:
    return Parity(0.5, 1.0, 1.0, max_difference=difference, max_steps=None)


def agreeing(agreement: float) -> Parity:
    return Parity(0.5, agreement - 0.1, agreement, max_difference=9.0, max_steps=9)


@pytest.mark.parametrize(
    ("precision", "greatest", "limit"),
    [("float32", 4.0, 4e-3), ("float32", 0.5, 1e-3), ("float16", 4.0, 8e-2)],
)
def test_floats_may_differ_by_their_share_of_the_greatest_logit(
    precision: str, greatest: float, limit: float
) -> None:
    require(verification(greatest, builtin=differing(0.99 * limit)), precision, "net")
    strays = verification(greatest, builtin=differing(1.01 * limit))
    with pytest.raises(ParityFailed, match=rf"net: logits of the {precision} file .* builtin"):
        require(strays, precision, "net")


@pytest.mark.parametrize("kernels", KERNEL_SETS)
def test_int8_may_disagree_on_one_image_of_two_hundred(kernels: Kernels) -> None:
    require(verification(4.0, **{kernels: agreeing(199 / 200)}), "int8", "net")
    with pytest.raises(ParityFailed, match=rf"net: under {kernels} kernels .* on 99\.49%"):
        require(verification(4.0, **{kernels: agreeing(0.9949)}), "int8", "net")


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ParityFailed, match="differ from torch by nan"):
        require(verification(xnnpack=differing(float("nan"))), "float32", "net")


def test_the_first_layer_that_strays_is_named() -> None:
    with pytest.raises(ParityFailed, match=r"layer 3\.depthwise is the first to stray, by 40%"):
        require(
            verification(xnnpack=agreeing(0.5)),
            "int8",
            "net",
            lambda: FirstDifference("3.depthwise", 0.4),
        )


def test_the_worst_is_taken_over_all_kernel_sets() -> None:
    found = verification(
        reference=Parity(0.1, 0.9, 0.95, 2.0, 3), xnnpack=Parity(0.7, 1.0, 1.0, 1.0, 1)
    ).worst
    assert found == Parity(0.7, 0.9, 0.95, max_difference=2.0, max_steps=3)
