import torch

from search_client.comparison.baselines import reinforce
from search_client.data.batches import PlainBatches
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import TargetLoss
from search_client.latency.objective import Aim, Goal
from search_client.search.config import SearchConfig
from search_client.search.scoring import Scorer
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_images, tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)


def _goal(reference_ms: float) -> Goal:
    latency = ExpectedLatency(2.0, torch.tensor([COSTS_MS, COSTS_MS]))
    return Goal([Aim("a", reference_ms)], [[latency]])


def _scorer(family: Family) -> Scorer:
    batches = list(PlainBatches(tiny_images(12), family.input_size, 6))
    return Scorer(family, batches, batches)


def test_reinforce_moves_towards_less_loss_and_leaves_the_family_as_it_was() -> None:
    torch.manual_seed(0)
    family = Family(tiny_space())
    before = {name: value.clone() for name, value in family.state_dict().items()}
    seen: list[int] = []
    # The latency rules: networks of 2 + 1 + 0 ms are wanted.
    found = reinforce(
        family,
        _goal(3.0),
        _scorer(family),
        config=SearchConfig(
            latency_loss=TargetLoss(weight=100.0), architecture_learning_rate=0.2, tolerance=0.01
        ),
        images=1200,
        seed=0,
        on_images=seen.append,
    )
    assert seen[-1] == 1200
    assert found.network.latency_ms == (3.0,)
    assert found.network.choices == [2, 6]
    # Far likelier than the one network in forty-two that it is at first.
    assert found.network.log_probability > -1.0
    assert all(torch.equal(value, before[name]) for name, value in family.state_dict().items())
