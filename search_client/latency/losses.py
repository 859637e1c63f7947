"""How latency joins the cross-entropy: four forms, named by what they compute, and own ones."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from netspec.console.units import latency_text
from netspec.errors import UserError
from netspec.validation import FrozenModel
from search_client.latency.own_loss import OwnLoss

Weight = Annotated[float, Field(gt=0)]


class LogRatio(FrozenModel):
    """CE * alpha * (ln E / ln R) ^ beta, with E and R in ms: what ProxylessNAS ran.

    A ratio of logs, so it depends on the unit and needs E and R above 1 ms. Its
    pull never ends: E goes on falling below R. Source: `mul#log` of the released code.
    """

    #: chooses this form
    kind: Literal["log_ratio"] = "log_ratio"
    #: multiplies the cross-entropy
    alpha: Weight = 0.2
    #: the exponent
    beta: Weight = 0.3

    def __call__(self, cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        """The loss (scalar)."""
        ratio = torch.log(expected_ms) / torch.log(expected_ms.new_tensor(reference_ms))
        return cross_entropy * self.alpha * ratio**self.beta

    @staticmethod
    def check(least_ms: float, reference_ms: float) -> None:
        """See that the loss exists for every network of a space.

        Args:
            least_ms: of the fastest network.
            reference_ms: R.

        Raises:
            UserError: one of them is not above 1 ms.
        """
        if min(least_ms, reference_ms) <= 1:
            raise UserError(
                "the loss log_ratio is a ratio of logs and needs latencies above 1 ms, got a "
                f"reference of {latency_text(reference_ms)} and networks down to "
                f"{latency_text(least_ms)}; "
                "choose the loss target"
            )


class Equation3(FrozenModel):
    """CE * alpha * max(ln(E / R), floor) ^ beta: what the paper of 2019 prints, made defined.

    As printed it is 0 at E = R, whatever the cross-entropy, has an infinite slope there, and
    no value below. With the floor it is the printed form from E = R * e ^ floor upwards; below,
    latency no longer pulls and the cross-entropy decides alone.
    Source: ProxylessNAS (ICLR 2019), equation 3.
    """

    #: chooses this form
    kind: Literal["equation3"] = "equation3"
    #: multiplies the cross-entropy
    alpha: Weight = 0.2
    #: the exponent
    beta: Weight = 0.3
    #: least value of the logarithm
    floor: Weight = 0.01

    def __call__(self, cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        """The loss (scalar)."""
        logarithm = torch.log(expected_ms / reference_ms).clamp_min(self.floor)
        return cross_entropy * self.alpha * logarithm**self.beta


class Linear(FrozenModel):
    """CE + weight * (E - R) / R: a pull of constant force towards less latency.

    Source: `add#linear` of the released training code of ProxylessNAS.
    """

    #: chooses this form
    kind: Literal["linear"] = "linear"
    #: of the latency beside the cross-entropy
    weight: Weight = 0.1

    def __call__(self, cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        """The loss (scalar)."""
        return cross_entropy + self.weight * (expected_ms - reference_ms) / reference_ms


class TargetLoss(FrozenModel):
    """CE + weight * |E / R - 1|: pulls E towards R from both sides.

    Source: TuNAS (CVPR 2020), the absolute reward.
    """

    #: chooses this form
    kind: Literal["target"] = "target"
    #: of the latency beside the cross-entropy
    weight: Weight = 1.0

    def __call__(self, cross_entropy: Tensor, expected_ms: Tensor, reference_ms: float) -> Tensor:
        """The loss (scalar)."""
        return cross_entropy + self.weight * (expected_ms / reference_ms - 1).abs()


LatencyLoss = Annotated[
    LogRatio | Equation3 | Linear | TargetLoss | OwnLoss, Field(discriminator="kind")
]
