import pytest
import torch
from torch import Tensor
from torch.nn import functional

from search_client.supernet.binary_gates import (
    Draw,
    alpha_gradients,
    draw,
    gate_gradients,
    keep_other_probabilities,
    sample_choices,
    sample_path,
)
from search_client.supernet.supernet import Supernet, frozen_statistics
from tests.unit.search_client.tiny import tiny_space

ZERO = 6


def test_choices_are_drawn_as_often_as_their_probability_says() -> None:
    probabilities = torch.tensor([0.7, 0.2, 0.1, 0.0])
    logits = probabilities.log().repeat(20_000, 1)
    drawn = sample_choices(logits, 1, torch.Generator().manual_seed(0))
    frequencies = torch.bincount(drawn.flatten(), minlength=4) / len(drawn)
    assert torch.allclose(frequencies, probabilities, atol=0.01)
    assert frequencies[3] == 0


def test_pairs_are_drawn_without_replacement() -> None:
    probabilities = torch.tensor([0.5, 0.3, 0.2])
    logits = probabilities.log().repeat(20_000, 1)
    pairs = sample_choices(logits, 2, torch.Generator().manual_seed(0))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    # choice 2 stays out when 0 then 1, or 1 then 0, are drawn
    without = 0.5 * 0.3 / 0.5 + 0.3 * 0.5 / 0.7
    share = (pairs != 2).all(dim=1).float().mean().item()
    assert share == pytest.approx(without, abs=0.01)


def test_the_same_seed_draws_the_same_paths() -> None:
    supernet = Supernet(tiny_space())
    first, second = (torch.Generator().manual_seed(7) for _ in range(2))
    paths = [sample_path(supernet, first) for _ in range(5)]
    assert paths == [sample_path(supernet, second) for _ in range(5)]
    assert all(path[0] < ZERO for path in paths)


def test_two_involves_two_existing_choices_and_runs_one_of_them() -> None:
    supernet = Supernet(tiny_space())
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        drawn = draw(supernet, "two", generator)
        assert drawn.involved.sum(dim=1).tolist() == [2, 2]
        assert not drawn.involved[0, ZERO]
        assert all(drawn.involved[block, choice] for block, choice in enumerate(drawn.path))


def test_two_runs_each_of_its_pair_as_often_as_the_pairs_softmax_says() -> None:
    supernet = Supernet(tiny_space())
    with torch.no_grad():
        supernet.alpha.fill_(-20.0)
        supernet.alpha[:, 0] = torch.log(torch.tensor(3.0))
        supernet.alpha[:, 1] = 0.0
    generator = torch.Generator().manual_seed(0)
    first = [draw(supernet, "two", generator).path[0] for _ in range(2000)]
    assert first.count(0) / len(first) == pytest.approx(0.75, abs=0.03)


def test_full_involves_every_existing_choice() -> None:
    supernet = Supernet(tiny_space())
    drawn = draw(supernet, "full_v2", torch.Generator())
    assert torch.equal(drawn.involved, supernet.exists)


@pytest.mark.parametrize("path", [[1, 4], [1, ZERO]])
@pytest.mark.parametrize("pair", [False, True])
def test_gate_gradients_are_those_of_explicit_gates(path: list[int], pair: bool) -> None:
    torch.manual_seed(0)
    supernet = Supernet(tiny_space()).train()
    images, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])
    involved = supernet.exists.clone()
    if pair:
        involved = torch.zeros_like(involved)
        involved[0, [1, 2]] = True
        involved[1, [4, ZERO]] = True

    gates = torch.zeros_like(supernet.alpha)
    gates[torch.arange(2), torch.tensor(path)] = 1.0
    gates.requires_grad_()
    (wanted,) = torch.autograd.grad(_loss_of_gates(supernet, images, labels, gates), gates)

    with frozen_statistics(supernet):
        logits, boundaries = supernet.trace(images, path)
        loss = functional.cross_entropy(logits, labels)
        gradients = torch.autograd.grad(loss, boundaries[1:])
        got = gate_gradients(supernet, Draw(path, involved), boundaries, list(gradients))
    assert torch.allclose(got, torch.where(involved, wanted, 0.0), atol=1e-5)
    assert got[supernet.exists & involved].count_nonzero() > 2


def _loss_of_gates(supernet: Supernet, images: Tensor, labels: Tensor, gates: Tensor) -> Tensor:
    x = images
    for operator in supernet.start:
        x = operator(x)
    for block in range(2):
        outputs = [
            gates[block, choice] * supernet.choose(block, choice, x)
            for choice in range(7)
            if supernet.exists[block, choice]
        ]
        x = torch.stack(outputs).sum(dim=0)
    for operator in supernet.end:
        x = operator(x)
    return functional.cross_entropy(x, labels)


def test_alpha_gradients_are_the_softmax_chain_rule() -> None:
    alpha = torch.tensor([[0.1, -0.3, 0.7, 9.0]], requires_grad=True)
    involved = torch.tensor([[True, True, True, False]])
    gates = torch.tensor([[1.0, -2.0, 0.5, 0.0]])
    p = torch.softmax(alpha[:, :3], dim=1)
    (wanted,) = torch.autograd.grad((p * gates[:, :3]).sum(), alpha)
    assert torch.allclose(alpha_gradients(gates, alpha, involved), wanted)


def test_other_probabilities_stay_after_a_pairs_update() -> None:
    before = torch.tensor([[0.1, -0.3, 0.7, 0.0], [0.0, 0.2, 0.4, 0.6]])
    involved = torch.tensor([[True, False, True, False], [False, True, True, False]])
    alpha = before + torch.where(involved, torch.tensor([[0.5, 0.0, -0.2, 0.0]]), 0.0)
    moved = alpha.clone()
    keep_other_probabilities(alpha, before, involved)
    old, new = torch.softmax(before, dim=1), torch.softmax(alpha, dim=1)
    assert torch.allclose(old[~involved], new[~involved])
    # the pair's own odds are those of the update
    assert torch.allclose(alpha[0, 0] - alpha[0, 2], moved[0, 0] - moved[0, 2])
