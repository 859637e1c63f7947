import itertools

import pytest
import torch

from search_client.comparison.baselines import OnTarget, Scorer, evolution, random_search, reinforce
from search_client.data.batches import PlainBatches
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Target
from search_client.latency.objective import Aim, Goal
from search_client.search.derive import NoNetworkOnTarget, on_target
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_images, tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)


def _goal(reference_ms: float, variants: int = 1) -> Goal:
    costs = torch.tensor([COSTS_MS, COSTS_MS])
    latencies = [ExpectedLatency(2.0 + index, costs) for index in range(variants)]
    return Goal([Aim("a", reference_ms)], [latencies])


def _scorer(family: Family) -> Scorer:
    return Scorer(family, list(PlainBatches(tiny_images(12), family.input_size, 6)))


def _on_target(reference_ms: float) -> set[tuple[int, ...]]:
    paths = itertools.product(range(6), range(7))
    return {path for path in paths if 2 + sum(COSTS_MS[one] for one in path) == reference_ms}


def test_draws_are_on_target_and_reach_all_that_is() -> None:
    family = Family(tiny_space())
    space = OnTarget(family, _goal(8.0), 0.01, seed=0)
    drawn = {space.draw() for _ in range(400)}
    assert {choices for _, choices in drawn} == _on_target(8.0)


def test_draws_span_all_sizes_that_can_be_on_target() -> None:
    family = Family(tiny_space(), sizes=(16, 24))
    space = OnTarget(family, _goal(8.0, variants=2), 0.01, seed=0)
    drawn = {space.draw() for _ in range(400)}
    assert {choices for variant, choices in drawn if variant == 0} == _on_target(8.0)
    assert {choices for variant, choices in drawn if variant == 1} == _on_target(7.0)


def test_two_targets_are_met_on_the_weighted_mean_as_networks_are_derived() -> None:
    family = Family(tiny_space())
    costs = torch.tensor([COSTS_MS, COSTS_MS])
    latencies = [[ExpectedLatency(2.0, costs)], [ExpectedLatency(4.0, costs)]]
    goal = Goal([Aim("a", 8.0), Aim("b", 8.0)], latencies, "weighted")
    # 2 and 4 ms besides the blocks: a mean of 8 ms leaves them 5 ms.
    space = OnTarget(family, goal, 0.01, seed=0)
    assert {space.draw()[1] for _ in range(200)} == _on_target(7.0)
    assert tuple(on_target(family, goal, 0.01).choices) in _on_target(7.0)


def test_an_impossible_target_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search_client.comparison.baselines.MOST_DRAWS", 50)
    space = OnTarget(Family(tiny_space()), _goal(200.0), 0.01, seed=0)
    with pytest.raises(NoNetworkOnTarget, match="none of 50 random networks"):
        space.draw()


def test_accuracy_is_that_of_the_path_normalised_by_the_batch_and_asked_once() -> None:
    torch.manual_seed(0)
    family = Family(tiny_space())
    scorer = _scorer(family)
    before = {name: value.clone() for name, value in family.state_dict().items()}
    accuracy = scorer.accuracy(0, (1, 3))
    with torch.no_grad():
        right = sum(
            int((family(0, images, [1, 3]).argmax(dim=1) == labels).sum())
            for images, labels in scorer.batches
        )
    assert accuracy == right / 12
    assert scorer.accuracy(0, (1, 3)) == accuracy
    assert scorer.evaluations == 1
    family.load_state_dict(before)


def test_scoring_leaves_the_family_as_it_was() -> None:
    family = Family(tiny_space())
    before = {name: value.clone() for name, value in family.state_dict().items()}
    _scorer(family).accuracy(0, (1, 3))
    assert all(torch.equal(value, before[name]) for name, value in family.state_dict().items())


@pytest.mark.parametrize("method", [random_search, evolution])
def test_searches_take_the_best_of_what_they_scored(method: object) -> None:
    torch.manual_seed(0)
    family = Family(tiny_space())
    scorer = _scorer(family)
    space = OnTarget(family, _goal(8.0), 0.01, seed=1)
    done: list[int] = []
    assert method in (random_search, evolution)
    run = random_search if method is random_search else evolution
    found = run(scorer, space, 60, done.append)
    assert done == list(range(1, 61))
    assert tuple(found.network.choices) in _on_target(8.0)
    assert found.network.latency_ms == (8.0,)
    assert found.accuracy == max(scorer._known.values())
    assert 1 < scorer.evaluations <= 60


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
        form=Target(weight=100.0),
        learning_rate=0.2,
        tolerance=0.01,
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
