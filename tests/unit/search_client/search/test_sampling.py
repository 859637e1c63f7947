import pytest
import torch

from search_client.latency.expected import ExpectedLatency
from search_client.latency.objective import Aim, Goal
from search_client.search.candidates import Candidate
from search_client.search.sampling import TRAINED_TOLERANCE, PathSampler, Sampling, extreme
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)


def _sampler(rule: Sampling) -> PathSampler:
    torch.manual_seed(0)
    family = Family(tiny_space(), sizes=(16, 24), widths=(0.25, 0.5), weights="shared")
    latencies = [ExpectedLatency(2.0, torch.tensor([COSTS_MS, COSTS_MS]))] * 4
    return PathSampler(family, Goal([Aim("a", 8.0)], [latencies]), rule)


@pytest.mark.parametrize("rule", ["probabilities", "fair", "sandwich", "on_target"])
def test_what_is_drawn_depends_on_the_generator_alone(rule: Sampling) -> None:
    sampler = _sampler(rule)
    drawn = [sampler.draw(torch.Generator().manual_seed(5)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert _sampler(rule).draw(torch.Generator().manual_seed(5)) == drawn[0]


def test_fair_paths_run_every_choice_of_every_block() -> None:
    paths = _sampler("fair").draw(torch.Generator().manual_seed(0))
    assert len({path.variant for path in paths}) == 1
    for block, choices in enumerate((6, 7)):
        counts = torch.tensor([path.choices[block] for path in paths]).bincount()
        assert len(counts) == choices
        assert counts.min() >= 1
        assert counts.max() <= 2


def test_a_sandwich_lies_between_the_largest_and_the_smallest() -> None:
    sampler = _sampler("sandwich")
    largest, smallest, *drawn = sampler.draw(torch.Generator().manual_seed(0))
    # widths vary slowest: the last variant has the greatest of both; kernel 7, expand 6
    assert largest == Candidate(3, (5, 5)) == extreme(sampler.family, largest=True)
    # kernel 3, expand 3, and no second block
    assert smallest == Candidate(0, (0, 6))
    assert len(drawn) == 2


def test_paths_on_target_are_near_it() -> None:
    sampler = _sampler("on_target")
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        (path,) = sampler.draw(generator)
        latency = 2.0 + sum(COSTS_MS[choice] for choice in path.choices)
        assert abs(latency / 8.0 - 1) <= TRAINED_TOLERANCE
