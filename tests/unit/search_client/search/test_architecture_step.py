"""An architecture step's gradient, against autograd through explicit gates in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partialmethod
from itertools import product
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from search_client.data.batches import Batch
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Equation3, LatencyLoss, Linear, LogRatio, TargetLoss
from search_client.latency.objective import Aim, Goal
from search_client.search.architecture_step import ArchitectureSteps, StepOutcome
from search_client.supernet.binary_gates import Gradient, draw, draw_of, reinforce_gradients
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
    steps.step([BATCH], generator, 0.0)
    return held[0]


@pytest.mark.parametrize("gradient", ["two", "full_v2"])
@pytest.mark.parametrize(
    "form", [LogRatio(), Equation3(), Linear(), TargetLoss()], ids=lambda f: f.kind
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
    # The released code's E[LAT] is that of the drawn pair where a step compares two.
    priced = drawn.involved if gradient == "two" else supernet.exists
    p = torch.softmax(alpha.masked_fill(~priced, -torch.inf), dim=1)
    with frozen_statistics(supernet):
        loss = form(_gated_cross_entropy(supernet, gates), _expected_ms(p), REFERENCE_MS)
    of_gates, direct = torch.autograd.grad(loss, [gates, alpha])
    among = torch.softmax(alpha.masked_fill(~drawn.involved, -torch.inf), dim=1)
    (through,) = torch.autograd.grad((among * of_gates).sum(), alpha)
    wanted = torch.where(drawn.involved, through + direct, 0.0)

    got = _taken(family, form, gradient)
    assert got.count_nonzero() >= 4
    assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-12)


def test_two_prices_the_drawn_pair_by_hand() -> None:
    family = _family()
    with torch.no_grad():
        family.supernet(0).alpha.copy_(torch.tensor([[0.0] * 7, [0.0] * 7]))
    involved = torch.zeros(2, 7, dtype=torch.bool)
    involved[0, [0, 2]] = involved[1, [2, 3]] = True
    got = _goal().expected_ms(family, 0, involved)
    # 1.1 * (2 + (5 + 1) / 2 + (1 + 3) / 2) + 0.3, and the full softmax has another mean.
    assert got.tolist() == pytest.approx([8.0], abs=1e-12)
    assert _goal().expected_ms(family, 0).item() != pytest.approx(8.0, abs=0.5)


def test_one_step_of_two_by_hand() -> None:
    """Adam without a first moment moves each alpha of the pair by its rate; then the shift."""
    family = _family()
    supernet = family.supernet(0)
    start = torch.linspace(-0.3, 0.3, 14, dtype=torch.float64).reshape(2, 7)
    with torch.no_grad():
        supernet.alpha.copy_(start)
    rate = 0.01
    steps = ArchitectureSteps(family, _goal(), Linear(), "two", rate, WeightConfig())
    gradients: list[Tensor] = []
    steps.optimizer.register_step_pre_hook(
        lambda *_: gradients.append(cast("Tensor", supernet.alpha.grad).clone())
    )
    steps.step([BATCH], torch.Generator().manual_seed(SEED), 0.0)
    for block, gradient in enumerate(gradients[0].tolist()):
        pair = [choice for choice, value in enumerate(gradient) if value != 0.0]
        assert len(pair) == 2
        before = [start[block, choice].item() for choice in pair]
        # The first step's bias corrections leave g / (|g| + eps), eps 1e-8.
        moved = [
            value - rate * gradient[choice] / (abs(gradient[choice]) + 1e-8)
            for choice, value in zip(pair, before, strict=True)
        ]
        shift = math.log(sum(map(math.exp, moved)) / sum(map(math.exp, before)))
        wanted = start[block].tolist()
        for choice, value in zip(pair, moved, strict=True):
            wanted[choice] = value - shift
        assert supernet.alpha[block].tolist() == pytest.approx(wanted, abs=1e-12)


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


def _moved_by(
    family: Family, batches: Sequence[Batch], gradient: Gradient
) -> tuple[list[Tensor], StepOutcome]:
    """Gradients that Adam would use, and what the step came to."""
    steps = ArchitectureSteps(family, _goal_of(family), Linear(), gradient, 0.0, WeightConfig())
    held: list[Tensor] = []
    steps.optimizer.register_step_pre_hook(
        lambda *_: held.extend(
            torch.zeros_like(one) if one.grad is None else one.grad.clone()
            for one in family.architecture()
        )
    )
    outcome = steps.step(batches, torch.Generator().manual_seed(SEED), 0.0)
    return held, outcome


def _goal_of(family: Family) -> Goal:
    latency = ExpectedLatency(2.0, torch.tensor([COSTS_MS, COSTS_MS])).double()
    return Goal([Aim("a", REFERENCE_MS)], [[latency] * len(family.variants)])


@pytest.mark.parametrize("gradient", ["two", "full_v2", "reinforce"])
def test_several_batches_give_the_mean_of_their_gradients(gradient: Gradient) -> None:
    family = _family()
    other = (BATCH[0].flip(0) * 0.7, BATCH[1])
    generator = torch.Generator().manual_seed(SEED)
    steps = ArchitectureSteps(family, _goal_of(family), Linear(), gradient, 0.0, WeightConfig())
    apart = [steps._estimate(batch, generator, 0.0) for batch in (BATCH, other)]
    (got, *_), outcome = _moved_by(family, [BATCH, other], gradient)
    assert torch.allclose(got, (apart[0].gradients[0] + apart[1].gradients[0]) / 2)
    assert outcome.loss == pytest.approx(sum(one.outcome.loss for one in apart) / 2)
    wanted = torch.stack([one.outcome.signal for one in apart]).mean(dim=0)
    assert torch.allclose(outcome.signal, wanted)


def test_two_keeps_the_odds_of_what_no_batch_compared() -> None:
    family = _family()
    alpha = family.supernet(0).alpha
    before = alpha.detach().clone()
    steps = ArchitectureSteps(family, _goal_of(family), Linear(), "two", 0.05, WeightConfig())
    steps.step([BATCH, BATCH, BATCH], torch.Generator().manual_seed(SEED), 0.0)
    for old, new in zip(before, alpha.detach(), strict=True):
        rested = old == new
        assert 2 <= (~rested).sum() <= 6
        # Their probabilities are those of before, too.
        before_step, after_step = (torch.softmax(values, dim=0) for values in (old, new))
        assert torch.allclose(before_step[rested], after_step[rested])


def test_sizes_are_compared_on_one_path(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    family = Family(tiny_space(), sizes=(16, 24), widths=(0.25, 0.5)).double()
    ran: list[tuple[int, tuple[int, ...]]] = []
    forward, trace = Family.forward, Family.trace

    def follow(
        self: Family, variant: int, images: Tensor, path: Sequence[int], *, traced: bool
    ) -> object:
        ran.append((variant, tuple(path)))
        return (trace if traced else forward)(self, variant, images, path)

    monkeypatch.setattr(Family, "forward", partialmethod(follow, traced=False))
    monkeypatch.setattr(Family, "trace", partialmethod(follow, traced=True))
    _moved_by(family, [BATCH], "full_v2")
    assert [variant for variant, _ in ran] == [ran[0][0], *(v for v in range(4) if v != ran[0][0])]
    paths = dict(ran)
    # Sizes of one width share alpha; widths drew by the same numbers from nearly the same one.
    assert paths[0] == paths[1]
    assert paths[2] == paths[3]
