import itertools
from collections.abc import Iterable
from typing import get_args

import pytest
import torch

from search_client.data.batches import Batch, PlainBatches
from search_client.latency.expected import ExpectedLatency
from search_client.latency.objective import Aim, Goal
from search_client.networks.layers import FloatNetwork
from search_client.search import scoring
from search_client.search.candidates import Candidate, OnTarget
from search_client.search.config import SearchConfig
from search_client.search.derive import NoNetworkOnTarget, on_target
from search_client.search.evolution import Predictor, evolution, random_search
from search_client.search.scoring import Scorer
from search_client.supernet.subnetwork import subnetwork
from search_client.supernet.variants import Family
from search_client.training.norm_statistics import recalibrate
from search_client.training.step import Arithmetic
from tests.unit.search_client.tiny import tiny_images, tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)


def _goal(reference_ms: float, variants: int = 1) -> Goal:
    costs = torch.tensor([COSTS_MS, COSTS_MS])
    latencies = [ExpectedLatency(2.0 + index, costs) for index in range(variants)]
    return Goal([Aim("a", reference_ms)], [latencies])


def _scorer(family: Family) -> Scorer:
    batches = list(PlainBatches(tiny_images(12), family.input_size, 6))
    return Scorer(family, batches, batches)


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
    monkeypatch.setattr("search_client.search.candidates.MOST_DRAWS", 50)
    space = OnTarget(Family(tiny_space()), _goal(200.0), 0.01, seed=0)
    with pytest.raises(NoNetworkOnTarget, match="none of 50 random networks"):
        space.draw()


def test_accuracy_is_that_of_the_recalibrated_subnetwork_and_taken_once() -> None:
    torch.manual_seed(0)
    family = Family(tiny_space(), weights="shared")
    scorer = _scorer(family)
    candidate = Candidate(0, (1, 3))
    accuracy = scorer.accuracy(candidate)
    model = subnetwork(family, *candidate)
    recalibrate(model, scorer.batches)
    with torch.no_grad():
        right = sum(
            int((model(images).argmax(dim=1) == labels).sum()) for images, labels in scorer.batches
        )
    assert accuracy == right / 12
    assert scorer.accuracy(candidate) == accuracy
    assert scorer.evaluations == 1
    assert scorer.standard_error(0.75) == pytest.approx(0.125)


def test_scoring_leaves_the_family_as_it_was() -> None:
    family = Family(tiny_space())
    before = {name: value.clone() for name, value in family.state_dict().items()}
    _scorer(family).accuracy(Candidate(0, (1, 3)))
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
    assert found.accuracy == max(scorer.known.values())
    assert 1 < scorer.evaluations <= 60


def test_the_predictor_finds_the_better_of_networks_that_it_never_saw() -> None:
    family = Family(tiny_space())
    worth = torch.randn(2, 7, generator=torch.Generator().manual_seed(0)).tolist()
    every = [Candidate(0, pair) for pair in itertools.product(range(6), range(7))]
    scores = {one: sum(worth[k][c] for k, c in enumerate(one.choices)) for one in every}
    seen, unseen = every[::2], every[1::2]
    predictor = Predictor(family)
    assert not predictor.accuracies(unseen).any()
    predictor.fit({one: scores[one] for one in seen})
    predicted = torch.from_numpy(predictor.accuracies(unseen))
    truth = torch.tensor([scores[one] for one in unseen], dtype=torch.float64)
    assert torch.corrcoef(torch.stack([predicted, truth]))[0, 1] > 0.8


def test_evolution_ends_above_random_search_where_choices_add_up() -> None:
    family = Family(tiny_space())
    goal = _goal(8.0)

    class Made(Scorer):
        def accuracy(self, candidate: Candidate) -> float:
            self.known[candidate] = sum(candidate.choices) / 12
            return self.known[candidate]

    best = max(sum(path) for path in _on_target(8.0)) / 12
    batches = _scorer(family).batches
    found = evolution(Made(family, batches, batches), OnTarget(family, goal, 0.01, 0), 80)
    assert found.accuracy == best


def test_networks_are_scored_in_the_arithmetic_of_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = Family(tiny_space())
    batches = list(PlainBatches(tiny_images(12), family.input_size, 6))
    kinds = []

    def answers(model: FloatNetwork, given: Iterable[Batch]) -> float:
        kinds.append(model(next(iter(given))[0]).dtype)
        return 0.0

    monkeypatch.setattr(scoring, "evaluate", answers)
    for arithmetic in get_args(Arithmetic):
        config = SearchConfig(arithmetic=arithmetic)
        Scorer(family, batches, batches, config=config).accuracy(Candidate(0, (0, 0)))
    assert kinds == [torch.float32, torch.bfloat16]
