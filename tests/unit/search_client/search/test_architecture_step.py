"""An architecture step's gradient, against autograd through explicit gates in float64."""

from __future__ import annotations

from itertools import product
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Equation3, LatencyLoss, Linear, LogRatio, Target
from search_client.latency.objective import Goal
from search_client.search.architecture_step import ArchitectureSteps
from search_client.supernet.gates import Gradient, draw, draw_of, reinforce_gradients
from search_client.supernet.supernet import Supernet, frozen_statistics
from search_client.supernet.variants import Family
from search_client.training.step import WeightConfig
from tests.unit.search_client.tiny import tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)
REFERENCE_MS = 8.0
SEED = 3
BATCH = (
    torch.randn(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
    torch.arange(6) % 3,
)


def _family() -> Family:
    torch.manual_seed(0)
    family = Family(tiny_space()).double()
    with torch.no_grad():
        # Fresh candidates compute one function, and none has a gradient.
        for weight in family.weights():
            weight.add_(0.1 * torch.randn_like(weight))
        family.supernet(0).alpha.normal_(std=0.5)
    return family.train()


def _goal() -> Goal:
    latency = ExpectedLatency(2.0, torch.tensor([COSTS_MS, COSTS_MS]), scale=1.1, intercept_ms=0.3)
    return Goal.single(latency.double(), REFERENCE_MS)


def _expected_ms(p: Tensor) -> Tensor:
    return 1.1 * (2.0 + (p * torch.tensor(COSTS_MS, dtype=p.dtype)).sum()) + 0.3


def _gated_cross_entropy(supernet: Supernet, gates: Tensor) -> Tensor:
    """With every choice's output times its gate."""
    x = BATCH[0]
    for operator in supernet.start:
        x = operator(x)
    for block, row in enumerate(supernet.exists.tolist()):
        outputs = [
            gates[block, choice] * supernet.choose(block, choice, x)
            for choice, exists in enumerate(row)
            if exists
        ]
        x = torch.stack(outputs).sum(dim=0)
    for operator in supernet.end:
        x = operator(x)
    return functional.cross_entropy(x, BATCH[1])


def _taken(family: Family, form: LatencyLoss, gradient: Gradient) -> Tensor:
    """The gradient with which a step would move alpha."""
    steps = ArchitectureSteps(family, _goal(), form, gradient, 0.0, WeightConfig())
    held: list[Tensor] = []
    alpha = family.supernet(0).alpha
    steps.optimizer.register_step_pre_hook(
        lambda *_: held.append(cast("Tensor", alpha.grad).clone())
    )
    generator = torch.Generator().manual_seed(SEED)
    steps.step(BATCH, generator, 0.0)
    return held[0]


@pytest.mark.parametrize("gradient", ["two", "full"])
@pytest.mark.parametrize(
    "form", [LogRatio(), Equation3(), Linear(), Target()], ids=lambda f: f.kind
)
def test_a_step_has_the_gradient_of_explicit_gates_and_of_latency(
    form: LatencyLoss, gradient: Gradient
) -> None:
    family = _family()
    supernet = family.supernet(0)
    generator = torch.Generator().manual_seed(SEED)
    # A step draws the variant first, also where there is one.
    draw_of(family.beta[None], torch.ones(1, 1, dtype=torch.bool), gradient, generator)
    drawn = draw(supernet, gradient, generator)

    gates = torch.zeros_like(supernet.alpha)
    gates[torch.arange(2), torch.tensor(drawn.path)] = 1.0
    gates.requires_grad_()
    alpha = supernet.alpha.detach().clone().requires_grad_()
    p = torch.softmax(alpha.masked_fill(~supernet.exists, -torch.inf), dim=1)
    with frozen_statistics(supernet):
        loss = form(_gated_cross_entropy(supernet, gates), _expected_ms(p), REFERENCE_MS)
    of_gates, direct = torch.autograd.grad(loss, [gates, alpha])
    among = torch.softmax(alpha.masked_fill(~drawn.involved, -torch.inf), dim=1)
    (through,) = torch.autograd.grad((among * of_gates).sum(), alpha)
    wanted = torch.where(drawn.involved, through + direct, 0.0)

    got = _taken(family, form, gradient)
    assert got.count_nonzero() >= 4
    assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_reinforce_is_the_gradient_of_the_mean_loss_over_all_paths() -> None:
    torch.manual_seed(0)
    alpha = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    exists = torch.tensor([[True, True, False], [True, True, True]])
    losses = torch.randn(2, 3, dtype=torch.float64)
    p = torch.softmax(alpha.masked_fill(~exists, -torch.inf), dim=1)
    chances = p[0, :2, None] * p[1]
    (wanted,) = torch.autograd.grad((chances * losses).sum(), alpha)
    got = torch.zeros_like(alpha)
    for one, other in product(range(2), range(3)):
        # Any baseline leaves the mean where it is.
        advantage = losses[one, other].item() - 0.7
        moved = reinforce_gradients(alpha.detach(), exists, [one, other], advantage)
        got += chances[one, other].item() * moved
    assert torch.allclose(got, wanted, atol=1e-12)
