from __future__ import annotations

import pytest
import torch

from netspec.costs import footprint, macs, parameters
from netspec.errors import UserError
from netspec.networks import Network
from netspec.wire import HeldOutError, LaunchFit, LaunchQuantity
from search_client.data.batches import PlainBatches
from search_client.latency.expected import ExpectedLatency
from search_client.latency.objective import Aim, Goal
from search_client.search import candidates
from search_client.search.candidates import OnTarget
from search_client.search.config import SearchConfig
from search_client.search.derive import NoNetworkOnTarget
from search_client.search.limits import Limits
from search_client.search.search import search
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_images, tiny_space

COSTS_MS = (5.0, 4.0, 1.0, 3.0, 6.0, 7.0, 0.0)
MIB = 2**20


def _fit(quantity: LaunchQuantity, fixed: float, per_weight_byte: float) -> LaunchFit:
    return LaunchFit(
        quantity=quantity,
        fixed=fixed,
        per_latency_ms=0.5 if quantity == "first_inference_ms" else 0.0,
        per_weight_byte=per_weight_byte,
        per_map_byte=0.0,
        held_out=HeldOutError(networks=5, mape_percent=1.0, bias_percent=0.0, worst_percent=2.0),
    )


def _goal(*aims: Aim) -> Goal:
    costs = torch.tensor([COSTS_MS, COSTS_MS])
    return Goal(aims, [[ExpectedLatency(2.0, costs)] for _ in aims])


LOAD = _fit("load_ms", 1.0, 0.001)
MEMORY = _fit("peak_memory_bytes", MIB, 3.0)
FIRST = _fit("first_inference_ms", 0.0, 0.0)


def _drawn(family: Family, limits: Limits, *aims: Aim) -> set[Network]:
    space = OnTarget(family, _goal(*aims), 0.01, seed=0, limits=limits)
    return {family.network(*space.draw()) for _ in range(40)}


def test_no_network_that_is_drawn_exceeds_a_limit() -> None:
    family = Family(tiny_space())
    aim = Aim("a", 8.0, launches={"load_ms": LOAD, "peak_memory_bytes": MEMORY})
    free = _drawn(family, Limits(), aim)
    weights = sorted(footprint(network.operators).weight_bytes for network in free)
    least = weights[0]
    assert least < weights[-1]
    costs = {
        "mega_macs": min(sum(map(macs, network.operators)) for network in free) / 1e6,
        "kilo_parameters": min(parameters(network.operators) for network in free) / 1e3,
        "load_ms": 1.0 + 0.001 * least,
        "peak_memory_mib": 1.0 + 3.0 * least / MIB,
    }
    for name, most in costs.items():
        limits = Limits.model_validate({name: most * 1.0001})
        drawn = _drawn(family, limits, aim)
        amounts = [limits.amounts(network, [aim], [8.0])[name] for network in drawn]
        assert max(amounts) <= most * 1.0001
        assert any(not limits.allow(limits.amounts(network, [aim], [8.0])) for network in free)


def test_the_most_on_any_target_counts_at_its_own_latency() -> None:
    network = Family(tiny_space()).network(0, [0, 0])
    aims = [Aim(name, 8.0, launches={"first_inference_ms": FIRST}) for name in "ab"]
    limits = Limits(first_inference_ms=5.0)
    assert limits.amounts(network, aims, [8.0, 10.0]) == {"first_inference_ms": 5.0}
    assert limits.allow(limits.amounts(network, aims, [8.0, 10.0]))
    assert not limits.allow(limits.amounts(network, aims, [10.1, 8.0]))


def test_energy_is_limited_by_the_sum_of_the_operators() -> None:
    family = Family(tiny_space())
    free = _drawn(family, Limits(), Aim("a", 8.0))
    prices = {one.key: 1.0 + macs(one) / 1e5 for network in free for one in network.operators}
    aim = Aim("a", 8.0, energies_mj=prices)
    sums = sorted(sum(prices[one.key] for one in network.operators) for network in free)
    limits = Limits(energy_mj=sums[0] * 1.0001)
    drawn = _drawn(family, limits, aim)
    amounts = [limits.amounts(network, [aim], [8.0])["energy_mj"] for network in drawn]
    assert max(amounts) <= sums[0] * 1.0001 < sums[-1]
    with pytest.raises(UserError, match=r"energy_mj: the table of target b has no energy of"):
        limits.amounts(next(iter(free)), [aim, Aim("b", 8.0)], [8.0, 8.0])


def test_a_table_that_does_not_say_what_is_limited_is_named() -> None:
    knowing = Aim("a", 8.0, launches={"load_ms": LOAD})
    limits = Limits(load_ms=5.0)
    with pytest.raises(
        UserError, match=r"search\.limits\.load_ms: the table of target b predicts no"
    ):
        _drawn(Family(tiny_space()), limits, knowing, Aim("b", 8.0))


def test_limits_that_no_network_meets_say_how_near_the_nearest_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "MOST_DRAWS", 200)
    aim = Aim("a", 8.0, launches={"load_ms": LOAD})
    with pytest.raises(NoNetworkOnTarget, match=r"at least.* load_ms [0-9.]+ \(at most 0\.5\)"):
        _drawn(Family(tiny_space()), Limits(load_ms=0.5), aim)


def test_a_search_by_the_gradient_refuses_limits_before_it_trains() -> None:
    family = Family(tiny_space())
    batches = PlainBatches(tiny_images(12), family.input_size, 6)
    config = SearchConfig(limits=Limits(load_ms=5.0))
    goal = _goal(Aim("a", 8.0, launches={"load_ms": LOAD}))
    with pytest.raises(UserError, match=r"search\.limits \(load_ms\).*evolution"):
        search(family, goal, batches, batches, config)
