from __future__ import annotations

import pytest

from netspec.operators import MBConv, Operator
from netspec.spaces import Space
from netspec.wire import Entry, NetworkSubject
from profiler_server.entries.priced_operators import Table
from profiler_server.latency_tables.calibration import fit
from profiler_server.latency_tables.lookups.factors import operator_factors
from tests.unit.profiler_server.calibrations import calibrated, entry

SPACE = Space(input_size=32, width=0.25, classes=10)


def test_one_network_fits_exactly_and_says_nothing_of_others() -> None:
    network = SPACE.network([0] * 21)
    table = {one.key: (one, entry(one, 1.0)) for one in network.operators}
    subject = NetworkSubject(network=network)
    found = fit("float32", table, [(subject, entry(subject, 1.25 * len(network.operators)))])
    assert found.model == "scale"
    assert found.scale == pytest.approx(1.25)
    assert found.predict_ms(8.0) == pytest.approx(10.0)
    assert found.factors == {}
    assert found.held_out is None
    assert found.interval_factor is None
    assert [network.held_out_ms for network in found.networks] == [None]
    assert "held_out_ms" not in found.model_dump_json()


def test_many_networks_correct_single_operators() -> None:
    # Alone, kernel 7 costs what it costs inside a network; everything else costs 12 % less.
    def inside(operator: Operator) -> float:
        slow = isinstance(operator, MBConv) and operator.kernel == 7
        return 4.0 if slow else 1.12

    found = calibrated(SPACE, 30, lambda one: 4.0 if inside(one) == 4.0 else 1.0, inside)
    assert found.model == "ridge"
    assert found.held_out is not None
    assert found.held_out.networks == 30
    assert found.held_out.mape_percent < 0.5
    assert found.held_out.within_5 == 1.0
    assert found.held_out.spearman is not None
    assert found.held_out.spearman > 0.99
    assert found.held_out.worst_network is not None
    errors = {one.name: one.held_out_error_percent for one in found.networks}
    sizes = [abs(error) for error in errors.values() if error is not None]
    assert len(sizes) == 30
    assert sum(sizes) / 30 == pytest.approx(found.held_out.mape_percent)
    assert errors[found.held_out.worst_network] in {max(sizes), -max(sizes)}
    assert found.interval_factor is not None
    assert found.interval_factor < 1.02
    for network in found.networks:
        assert found.predict_ms(network.sum_ms) == pytest.approx(network.measured_ms, rel=0.01)
    blocks = SPACE.blocks[0].candidates
    fast, slow = operator_factors(found, [blocks[0], blocks[-1]])
    # Part of what all these networks have in common may as well be their intercept.
    assert fast / slow == pytest.approx(1.12, rel=0.03)


def test_an_operator_that_came_later_gets_its_groups_factor() -> None:
    found = calibrated(
        SPACE, 20, lambda _: 1.0, lambda one: 1.2 if getattr(one, "kernel", 0) == 7 else 1.0
    )
    later = SPACE.blocks[0].candidates[-1].model_copy(update={"input_size": 64})
    assert later.key not in found.factors
    (factor,) = operator_factors(found, [later])
    (of_kin,) = operator_factors(found, [SPACE.blocks[0].candidates[-1]])
    assert factor == pytest.approx(of_kin, rel=0.02)
    stem = SPACE.fixed_start[0].model_copy(update={"input_size": 64})
    assert operator_factors(found.model_copy(update={"factors": {}}), [stem]) == [1.0]


def test_nothing_to_fit_on_is_refused() -> None:
    table: Table = {}
    nothing: list[tuple[NetworkSubject, Entry]] = []
    with pytest.raises(ValueError, match="calibration"):
        fit("float32", table, nothing)
