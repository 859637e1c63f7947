import pytest
import torch

from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import TargetLoss
from search_client.latency.objective import Aim, Goal
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_space

CE = torch.tensor(2.0)


def _latency(cost: float) -> ExpectedLatency:
    return ExpectedLatency(1.0, torch.full((2, 7), cost))


def test_worst_takes_the_target_that_is_farthest_above_its_reference() -> None:
    goal = Goal([Aim("a", 10.0), Aim("b", 20.0)], [[_latency(1)], [_latency(1)]])
    latency = torch.tensor([11.0, 30.0])
    assert goal.worst(latency) == 1
    assert goal.loss(TargetLoss(weight=1.0), CE, latency).item() == pytest.approx(2.5)


def test_weighted_takes_the_mean_of_the_targets_losses() -> None:
    aims = [Aim("a", 10.0, weight=3.0), Aim("b", 20.0, weight=1.0)]
    goal = Goal(aims, [[_latency(1)], [_latency(1)]], "weighted")
    loss = goal.loss(TargetLoss(weight=1.0), CE, torch.tensor([11.0, 30.0]))
    assert loss.item() == pytest.approx(2 + 0.75 * 0.1 + 0.25 * 0.5)


def test_one_targets_gradient_to_alpha_is_the_softmax_chain_rule_in_float64() -> None:
    family = Family(tiny_space()).double()
    costs = torch.rand(2, 7, dtype=torch.float64)
    latency = ExpectedLatency(1.0, costs, scale=1.5).double()
    latency.costs_ms.copy_(costs)
    alpha = family.supernet(0).alpha
    (got,) = torch.autograd.grad(Goal.single(latency, 1.0).expected_ms(family, 0).sum(), alpha)
    p = family.supernet(0).probabilities().detach()
    mean = (p * costs).sum(dim=1, keepdim=True)
    # dE/dalpha_i = scale * p_i (F_i - sum_j p_j F_j)
    assert torch.allclose(got, 1.5 * p * (costs - mean), atol=1e-12)


def test_the_mean_over_sampled_variants_is_the_gradient_of_the_mean_latency() -> None:
    family = Family(tiny_space(), sizes=(16, 24))
    with torch.no_grad():
        family.beta.copy_(torch.tensor([1.0, -0.5]))
    tables = [torch.rand(2, 7) for _ in range(2)]
    goal = Goal([Aim("a", 1.0)], [[ExpectedLatency(3.0 * i + 1, t) for i, t in enumerate(tables)]])
    alpha, q = family.supernet(0).alpha, family.variant_probabilities()
    p = family.supernet(0).probabilities()
    plain = sum(q[i] * (3.0 * i + 1 + (p * tables[i]).sum()) for i in range(2))
    assert isinstance(plain, torch.Tensor)
    wanted = torch.autograd.grad(plain, [alpha, family.beta])
    got = []
    for active in range(2):
        value = goal.expected_ms(family, active)[0]
        assert value.item() == pytest.approx(plain.item(), rel=1e-6)
        got.append(torch.autograd.grad(value, [alpha, family.beta]))
    shares = q.detach()
    of_alpha = shares[0] * got[0][0] + shares[1] * got[1][0]
    assert torch.allclose(of_alpha, wanted[0], atol=1e-6)
    for active in range(2):
        assert torch.allclose(got[active][1], wanted[1], atol=1e-6)


def test_a_networks_latency_is_the_sum_of_its_choices() -> None:
    costs = torch.arange(14.0).reshape(2, 7)
    goal = Goal.single(ExpectedLatency(100.0, costs, scale=2.0, intercept_ms=0.5), 1.0)
    assert goal.path_ms(0, [3, 6]).tolist() == [2 * (100 + 3 + 13) + 0.5]


def test_variants_are_every_size_of_every_width() -> None:
    spaces = tiny_space().variants((16, 24), (0.25, 0.5))
    assert [[(one.input_size, one.width) for one in row] for row in spaces] == [
        [(16, 0.25), (24, 0.25)],
        [(16, 0.5), (24, 0.5)],
    ]
    assert tiny_space().variants() == [[tiny_space()]]


def test_latency_over_reference_is_of_the_worst_target_or_the_weighted_mean() -> None:
    aims = [Aim("a", 10.0, weight=3.0), Aim("b", 20.0, weight=1.0)]
    rows = [[_latency(1)], [_latency(1)]]
    assert Goal(aims, rows).over_reference([11.0, 30.0]) == pytest.approx(1.5)
    weighted = Goal(aims, rows, "weighted")
    assert weighted.over_reference([11.0, 30.0]) == pytest.approx(0.75 * 1.1 + 0.25 * 1.5)
    again = weighted.aimed_at([11.0, 30.0])
    assert again.over_reference([11.0, 30.0]) == pytest.approx(1.0)
    assert [aim.weight for aim in again.aims] == [3.0, 1.0]
    assert again.path_ms(0, [0, 0]).tolist() == weighted.path_ms(0, [0, 0]).tolist()
