"""Predictions for operators without entry: told apart, with an interval, only where allowed."""

from __future__ import annotations

import pytest

from netspec.networks import Network
from netspec.operators import Convert, MBConv, Operator
from netspec.spaces import Space
from netspec.wire import (
    Assembly,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
)
from profiler_server.latency_model.features import work
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
SPACE = Space(input_size=32, width=0.25, classes=10)
OPERATORS = SPACE.operators()
UNMEASURED = OPERATORS[5], OPERATORS[20]


def alone_ms(operator: Operator) -> float:
    return 0.05 + work(operator).macs / 1e5


def networks(count: int) -> list[Network]:
    """Networks without the unmeasured operators, each of one candidate wherever it can be."""
    usable = [
        [at for at, one in enumerate(block.candidates) if one not in UNMEASURED]
        for block in SPACE.blocks
    ]
    return [
        SPACE.network([at[index % len(at)] for at in usable], f"net{index}")
        for index in range(count)
    ]


def with_unmeasured() -> Network:
    """A network with both of the unmeasured operators."""
    choices = [
        next((at for at, one in enumerate(block.candidates) if one in UNMEASURED), 0)
        for block in SPACE.blocks
    ]
    return SPACE.network(choices)


@pytest.fixture
def measured(api: Api) -> Api:
    """All operators but two, and five networks that take 10 % more than their sums."""
    device = api.register(farm.registration()).id
    operators = [one for one in OPERATORS if one not in UNMEASURED]
    api.file(farm.job(operators, networks=networks(5), rounds=1))
    lease = api.claim(device)
    took = {one.key: alone_ms(one) for one in operators}
    took |= {one.name: 1.1 * sum(map(alone_ms, one.operators)) for one in networks(5)}
    api.upload(farm.visits(lease, device, rounds=1, ms=took))
    api.release(lease)
    return api


def look_up(api: Api, *operators: Operator, allow: str = "true") -> LookedUpLatencies:
    question = LatencyLookup(target_id=TARGET, operators=operators)
    path = f"/v1/latencies:lookup?allow_predicted={allow}"
    return read(LookedUpLatencies, api.call("POST", path, question))


def test_a_prediction_is_no_entry_and_has_an_interval(measured: Api) -> None:
    convert = Convert(input_size=8, in_channels=8, out_channels=8)
    answer = look_up(measured, OPERATORS[4], *UNMEASURED, convert)
    states = [one.state for one in answer.latencies]
    assert states == ["stale", "predicted", "predicted", "missing"]
    for operator, found in zip(UNMEASURED, answer.latencies[1:3], strict=True):
        assert found.entry is None
        assert found.predicted is not None
        assert found.predicted.value_ms == pytest.approx(alone_ms(operator), rel=0.05)
        assert found.predicted.low_ms < found.predicted.value_ms < found.predicted.high_ms
    assert answer.latencies[0].predicted is None
    assert look_up(measured, *UNMEASURED, convert) == LookedUpLatencies(
        target_id=TARGET, latencies=answer.latencies[1:]
    )


def test_nothing_is_predicted_unless_it_is_allowed(measured: Api) -> None:
    answer = look_up(measured, *UNMEASURED, allow="false")
    assert [(one.state, one.predicted) for one in answer.latencies] == [("missing", None)] * 2
    measured.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    detail = measured.problem(
        "POST",
        f"/v1/targets/{TARGET}:predict",
        PredictRequest(network=with_unmeasured()),
        status=404,
        kind="missing-entry",
    )
    assert UNMEASURED[0].key in detail


def test_a_network_says_which_of_its_operators_were_predicted(measured: Api) -> None:
    published = measured.call(
        "POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201
    )
    (calibration,) = read(Snapshot, published).calibrations
    assert calibration.scale == pytest.approx(1.1)
    assert calibration.held_out is not None
    assert calibration.held_out.mape_percent == pytest.approx(0.0, abs=1e-6)
    assert calibration.interval_factor == pytest.approx(1.0)
    network = with_unmeasured()
    path = f"/v1/targets/{TARGET}:predict?allow_predicted=true"
    answer = read(Prediction, measured.call("POST", path, PredictRequest(network=network)))
    assert answer.predicted == tuple(sorted(one.key for one in UNMEASURED))
    expected = 1.1 * sum(map(alone_ms, network.operators))
    assert answer.predicted_ms == pytest.approx(expected, rel=0.02)
    assert answer.low_ms is not None
    assert answer.high_ms is not None
    assert answer.low_ms < answer.predicted_ms < answer.high_ms
    # Without predicted operators the interval is the calibration's own, here none, and what the
    # few visits of each entry may be off, which the sum of many averages out.
    certain = measured.call("POST", path, PredictRequest(network=networks(1)[0]))
    known = read(Prediction, certain)
    assert known.predicted == ()
    assert known.low_ms is not None
    assert 0.92 < known.low_ms / known.predicted_ms < 0.99
    share = f"predicted, not measured: {answer.predicted_share:.1%} of the sum"
    assert answer.caveats[0].startswith(share)


def test_a_table_too_small_to_learn_from_predicts_nothing(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(OPERATORS[:8], rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    assert [one.state for one in look_up(api, *UNMEASURED).latencies] == ["stale", "missing"]


def test_what_is_far_from_all_that_was_measured_is_refused_with_the_nearest(measured: Api) -> None:
    huge = MBConv(input_size=512, in_channels=2048, out_channels=2048, kernel=3, expand=6)
    (found,) = look_up(measured, huge).latencies
    assert (found.state, found.predicted) == ("missing", None)
    keys = {one.key for one in OPERATORS}
    assert found.nearest
    assert set(found.nearest) <= keys
    (unasked,) = look_up(measured, huge, allow="false").latencies
    assert unasked.nearest == ()
    measured.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    network = Network(name="huge", operators=(huge,))
    path = f"/v1/targets/{TARGET}:predict?allow_predicted=true"
    answer = measured.call("POST", path, PredictRequest(network=network), status=404)
    detail = answer.json()["detail"]
    assert f"{huge.key} (too far from all that was measured for a prediction" in detail
    assert found.nearest[0] in detail


def test_an_assembly_of_operators_is_priced_without_being_a_chain(measured: Api) -> None:
    measured.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    network = with_unmeasured()
    shuffled = Assembly(name="branches", operators=tuple(reversed(network.operators)))
    path = f"/v1/targets/{TARGET}:predict?allow_predicted=true"
    chain = read(Prediction, measured.call("POST", path, PredictRequest(network=network)))
    answer = read(Prediction, measured.call("POST", path, PredictRequest(assembly=shuffled)))
    assert answer.name == "branches"
    assert answer.predicted_ms == pytest.approx(chain.predicted_ms)
    unmeasured_ms = sum(alone_ms(one) for one in network.operators if one in UNMEASURED)
    share = unmeasured_ms / sum(map(alone_ms, network.operators))
    assert answer.predicted_share == pytest.approx(share, rel=0.05)
    assert answer.predicted_share == pytest.approx(chain.predicted_share)
    both = {"network": network.model_dump(), "assembly": shuffled.model_dump()}
    for body in (both, {}):
        assert "give one of `network`, `assembly` and `config`" in measured.problem(
            "POST", path, body, status=422, kind="invalid-request"
        )
