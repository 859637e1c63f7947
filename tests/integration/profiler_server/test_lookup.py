from __future__ import annotations

from datetime import UTC, datetime

import pytest

from netspec.client import LatencyTable, NoCalibration
from netspec.equivalents import equivalents
from netspec.networks import Network
from netspec.operators import Operator
from netspec.wire import (
    Calibration,
    LatencyLookup,
    LookedUpLatencies,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
    VisitBatch,
)
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
LOOKUP = "/v1/latencies:lookup"
PREDICT = f"/v1/targets/{TARGET}:predict"
CALIBRATED = farm.network([2, 3], "five")


def measure(
    api: Api, operators: tuple[Operator, ...], *networks: Network, at: datetime | None = None
) -> None:
    """Every operator takes 1 ms, every network 10 ms; started at `farm.STARTED_AT` or `at`."""
    device = api.register(farm.registration()).id
    api.file(farm.job(operators, networks=networks, rounds=1))
    lease = api.claim(device)
    batch = farm.visits(lease, device, rounds=1, ms={one.name: 10.0 for one in networks})
    changed = {} if at is None else {"started_at": at}
    visits = tuple(visit.model_copy(update=changed) for visit in batch.visits)
    assert set(api.upload(VisitBatch(visits=visits))) == {"stored"}
    api.release(lease)


def look_up(api: Api, *operators: Operator) -> LookedUpLatencies:
    question = LatencyLookup(target_id=TARGET, operators=operators)
    return read(LookedUpLatencies, api.call("POST", LOOKUP, question))


def predict(api: Api, network: Network) -> Prediction:
    return read(Prediction, api.call("POST", PREDICT, PredictRequest(network=network)))


def test_each_operator_is_a_hit_stale_or_missing(api: Api) -> None:
    fresh, stale, missing = farm.blocks(3)
    measure(api, (fresh,), at=datetime.now(UTC))
    # The server's clock is past STARTED_AT by more than the 30 days of the default.
    measure(api, (stale,))
    answer = look_up(api, missing, stale, fresh, fresh)
    assert answer.target_id == TARGET
    assert [(one.key, one.state) for one in answer.latencies] == [
        (missing.key, "missing"),
        (stale.key, "stale"),
        (fresh.key, "hit"),
        (fresh.key, "hit"),
    ]
    assert answer.latencies[0].entry is None
    entries = [one.entry for one in answer.latencies[1:]]
    assert [entry and (entry.name, entry.value_ms) for entry in entries] == [
        (stale.key, 1.0),
        (fresh.key, 1.0),
        (fresh.key, 1.0),
    ]


def test_the_freshness_setting_decides_what_is_stale(make_api: MakeApi) -> None:
    patient = make_api(fresh_days=36_500)
    (block,) = farm.blocks(1)
    measure(patient, (block,))
    assert [one.state for one in look_up(patient, block).latencies] == ["hit"]
    assert [one.state for one in look_up(make_api(), block).latencies] == ["stale"]


def test_5000_operators_at_a_time_and_no_more(api: Api) -> None:
    api.register(farm.registration())
    operators = [operator.model_dump(mode="json") for operator in farm.blocks(2_400)]
    many = (operators * 3)[:5_001]
    body = {"target_id": TARGET, "operators": many[:5_000]}
    answer = read(LookedUpLatencies, api.call("POST", LOOKUP, body))
    assert len(answer.latencies) == 5_000
    for wrong in (many, []):
        body = {"target_id": TARGET, "operators": wrong}
        assert "operators" in api.problem("POST", LOOKUP, body, status=422, kind="invalid-request")


def test_unknown_targets_are_problems(api: Api) -> None:
    nowhere = "0" * 16
    question = LatencyLookup(target_id=nowhere, operators=farm.blocks(1))
    api.problem("POST", LOOKUP, question, status=404, kind="unknown-target")
    ask = PredictRequest(network=CALIBRATED)
    path = f"/v1/targets/{nowhere}:predict"
    api.problem("POST", path, ask, status=404, kind="unknown-target")


@pytest.fixture
def calibrated(api: Api) -> Snapshot:
    """A published table: a sum of 5 ms was measured as 10 ms, so the scale is 2."""
    measure(api, CALIBRATED.operators, CALIBRATED, at=datetime.now(UTC))
    path = f"/v1/targets/{TARGET}/snapshots"
    return read(Snapshot, api.call("POST", path, PublishRequest(), status=201))


def test_a_prediction_is_the_calibrated_sum_and_names_the_snapshot(
    api: Api, calibrated: Snapshot
) -> None:
    # stem, 4 blocks, head and classifier of 1 ms each: 7 ms, twice that
    longer = farm.network([2, 3, 3, 2], "seven")
    prediction = predict(api, longer)
    assert [prediction.sum_ms, prediction.predicted_ms] == pytest.approx([7.0, 14.0])
    assert (prediction.name, prediction.subject_hash) == ("seven", longer.content_hash)
    assert (prediction.target_id, prediction.precision) == (TARGET, "float32")
    assert prediction.snapshot_id == calibrated.id
    assert (prediction.held_out, prediction.stale) == (None, ())


def test_a_prediction_sums_the_entries_as_they_are_and_names_stale_ones(
    api: Api, calibrated: Snapshot
) -> None:
    wider = farm.network([2, 4], "wider")
    added = wider.operators[2]
    assert added.key not in calibrated.values_ms
    measure(api, (added,))
    prediction = predict(api, wider)
    assert [prediction.sum_ms, prediction.predicted_ms] == pytest.approx([5.0, 10.0])
    assert prediction.snapshot_id == calibrated.id
    assert prediction.stale == (added.key,)
    # It came after the calibration, and moved nothing that was there.
    assert (prediction.changed, prediction.changed_percent) == ((added.key,), 0.0)
    assert f"older than 1 of the entries ({added.key})" in " ".join(prediction.caveats)


def measure_again(api: Api, operator: Operator, ms: float) -> None:
    """One more visit of an operator, by the same device."""
    device = api.register(farm.registration()).id
    api.file(farm.job((operator,), rounds=1, remeasure=True))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={operator.key: ms}))
    api.release(lease)


def test_a_prediction_says_that_the_calibration_is_older_than_its_entries(
    api: Api, calibrated: Snapshot
) -> None:
    before = predict(api, CALIBRATED)
    assert (before.changed, before.changed_percent, before.caveats) == ((), 0.0, ())
    block = CALIBRATED.operators[1]
    measure_again(api, block, 2.0)
    # The trimmed mean of 1 and 2 ms.
    now_ms = (0.4 * 1.0 + 0.25 * 2.0) / 0.65
    found = predict(api, CALIBRATED)
    assert found.sum_ms == pytest.approx(4.0 + now_ms)
    assert found.changed == (block.key,)
    assert found.changed_percent == pytest.approx(100 * (now_ms - 1) / 5)
    assert found.snapshot_id == calibrated.id
    (said,) = found.caveats
    assert said == (
        f"the calibration is older than 1 of the entries ({block.key}), which have moved the sum "
        f"by +7.7 %; publish the table again"
    )
    # Published again, the calibration knows them.
    api.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    again = predict(api, CALIBRATED)
    assert again.changed == ()
    assert again.predicted_ms == pytest.approx(10.0)


@pytest.mark.usefixtures("calibrated")
def test_a_prediction_says_that_a_network_is_unlike_those_calibrated_on(api: Api) -> None:
    assert predict(api, CALIBRATED).unlike == ()
    (size, mix) = predict(api, farm.network([2, 3, 3, 2], "seven")).unlike
    assert size == (
        "its operators add up to 7.00 ms, those of the networks calibrated on to 5.00 ms to 5.00 ms"
    )
    assert mix == "its sum is made of other operators: 57% in mbconv kernel 3 (there at most 40%)"
    first, block, *rest = CALIBRATED.operators
    large = block.model_copy(update={"kernel": 7})
    measure(api, (large,))
    other = predict(api, Network(name="large", operators=(first, large, *rest)))
    assert other.unlike == (
        "its sum is made of other operators: 20% in mbconv kernel 7 (there at most 0%)",
    )
    assert other.caveats[-1] == f"unlike the networks calibrated on: {other.unlike[0]}"


@pytest.mark.usefixtures("calibrated")
def test_the_same_computation_by_operators_of_other_kinds_is_predicted_alike(api: Api) -> None:
    renamed = [next(iter(equivalents(one)), one) for one in CALIBRATED.operators]
    assert {one.kind for one in renamed} == {"conv", "bottleneck", "feature_mix", "classifier"}
    found = predict(api, Network(name="file", operators=tuple(renamed)))
    first = predict(api, CALIBRATED)
    assert (found.predicted_ms, found.high_ms) == (first.predicted_ms, first.high_ms)
    assert found.unlike == ()


def test_no_prediction_without_every_entry(api: Api, calibrated: Snapshot) -> None:
    network = farm.network([2, 7, 8, 7], "new")
    ask = PredictRequest(network=network)
    detail = api.problem("POST", PREDICT, ask, status=404, kind="missing-entry")
    named = [one.key for one in set(network.operators) if one.key in detail]
    assert sorted(named) == sorted(operator.key for operator in network.operators[2:4])
    assert not set(named) & set(calibrated.values_ms)


def test_without_a_calibration_the_plain_sum_says_so(api: Api, make_api: MakeApi) -> None:
    measure(api, CALIBRATED.operators)
    found = predict(api, CALIBRATED)
    assert (found.sum_ms, found.predicted_ms, found.calibrated) == (5.0, 5.0, False)
    assert (found.snapshot_id, found.held_out, found.low_ms, found.high_ms) == (None,) * 4
    answer = api.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    found = predict(make_api(), CALIBRATED)
    assert (found.predicted_ms, found.calibrated) == (5.0, False)
    assert found.snapshot_id == read(Snapshot, answer).id


def test_mixed_precisions_are_not_predicted(api: Api, calibrated: Snapshot) -> None:
    first, *others = CALIBRATED.operators
    mixed = Network(name="mixed", operators=(first.with_precision("int8"), *others))
    measure(api, mixed.operators[:1])
    ask = PredictRequest(network=mixed)
    detail = api.problem("POST", PREDICT, ask, status=409, kind="not-calibrated")
    assert "mixes precisions" in detail
    assert calibrated.calibration("int8") is None


def test_less_than_nothing_is_not_predicted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = Calibration(
        precision="float32", scale=2.0, intercept_ms=-9.0, networks=(), held_out=None
    )
    monkeypatch.setattr("profiler_server.latency_tables.calibration.fit", lambda *_: fitted)
    network = farm.network([2, 2], "of five")
    measure(api, network.operators, network)
    answer = api.call("POST", f"/v1/targets/{TARGET}/snapshots", PublishRequest(), status=201)
    assert predict(api, network).predicted_ms == pytest.approx(1.0)
    small = farm.network([], "small")
    ask = PredictRequest(network=small)
    detail = api.problem("POST", PREDICT, ask, status=409, kind="not-calibrated")
    assert "predicts -3.00 ms for small: it is too far below the networks" in detail
    with pytest.raises(NoCalibration, match=r"gives small -3\.00 ms: it is too far below"):
        LatencyTable(read(Snapshot, answer)).predict_ms(small)
