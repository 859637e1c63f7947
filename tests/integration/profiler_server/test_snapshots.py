from __future__ import annotations

import pytest

from netspec.wire import PublishRequest, Snapshot
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
SNAPSHOTS = f"/v1/targets/{TARGET}/snapshots"
#: sums of 1 ms operators are 5 ms (stem, 2 blocks, head, classifier) and 6 ms
NETWORKS = (farm.network([2, 3], "five"), farm.network([2, 3, 4], "six"))


@pytest.fixture
def measured(api: Api) -> Api:
    """Every operator takes 1 ms, the network of 5 takes 10 ms, that of 6 takes 15 ms."""
    device = api.register(farm.registration()).id
    operators = {operator for network in NETWORKS for operator in network.operators}
    api.file(farm.job(sorted(operators, key=lambda one: one.key), networks=NETWORKS, rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={"five": 10.0, "six": 15.0}))
    return api


def publish(api: Api, status: int, request: PublishRequest | None = None) -> Snapshot:
    plain = {"Accept-Encoding": "identity"}
    body = request or PublishRequest()
    answer = api.call("POST", SNAPSHOTS, body, status=status, headers=plain)
    snapshot = read(Snapshot, answer)
    assert answer.headers["ETag"] == f'"{snapshot.id}"'
    return snapshot


def test_a_snapshot_holds_the_operators_and_a_calibration(measured: Api) -> None:
    snapshot = publish(measured, 201)
    assert snapshot.identity == farm.identity()
    names = [entry.name for entry in snapshot.entries]
    assert names == sorted(names)
    assert len(names) == 6
    assert set(snapshot.values_ms.values()) == {1.0}
    (calibration,) = snapshot.calibrations
    # ratios sum/measured are 1/2 and 2/5: scale = 0.9 / 0.41
    assert calibration.scale == pytest.approx(0.9 / 0.41)
    assert calibration.intercept_ms == 0.0
    assert [(one.name, one.sum_ms, one.measured_ms) for one in calibration.networks] == [
        ("five", 5.0, 10.0),
        ("six", 6.0, 15.0),
    ]
    held_out = calibration.held_out
    assert held_out is not None
    # fitted on six alone: 2.5 * 5 / 10 - 1 = 25 %; on five alone: 2 * 6 / 15 - 1 = -20 %
    assert held_out.mape_percent == pytest.approx(22.5)
    assert held_out.bias_percent == pytest.approx(2.5)
    assert held_out.worst_percent == pytest.approx(25.0)


def test_the_same_content_is_the_same_snapshot(measured: Api) -> None:
    first = publish(measured, 201)
    assert publish(measured, 200) == first
    on_one = PublishRequest(calibrate_on=(NETWORKS[0].content_hash,))
    second = publish(measured, 201, on_one)
    assert second.id != first.id
    assert [calibration.scale for calibration in second.calibrations] == [pytest.approx(2.0)]
    assert second.calibrations[0].held_out is None
    assert publish(measured, 200) == first
    latest = measured.call("GET", f"{SNAPSHOTS}/latest")
    assert read(Snapshot, latest) == first


def test_no_networks_no_calibration(measured: Api) -> None:
    assert publish(measured, 201, PublishRequest(calibrate_on=())).calibrations == ()


def test_conditional_requests_save_the_transfer(measured: Api) -> None:
    snapshot = publish(measured, 201)
    plain, zipped = f'"{snapshot.id}"', f'"{snapshot.id}-gzip"'
    for path in (f"{SNAPSHOTS}/latest", f"/v1/snapshots/{snapshot.id}"):
        full = measured.call("GET", path)
        assert full.headers["ETag"] == zipped
        assert full.headers["Content-Encoding"] == "gzip"
        assert read(Snapshot, full) == snapshot
        identity = measured.call("GET", path, headers={"Accept-Encoding": "gzip;q=0"})
        assert identity.headers["ETag"] == plain
        assert "Content-Encoding" not in identity.headers
        for header, tag in (
            (plain, plain),
            (zipped, zipped),
            (f'"other", {plain}', plain),
            (f"W/{zipped}", zipped),
            ("*", zipped),
        ):
            same = measured.call("GET", path, headers={"If-None-Match": header}, status=304)
            assert same.content == b""
            assert same.headers["ETag"] == tag
        measured.call("GET", path, headers={"If-None-Match": '"other"'})


def test_what_is_not_there_is_a_problem(measured: Api) -> None:
    api, nowhere = measured, "/v1/targets/0000000000000000"
    key = farm.blocks(1)[0].key
    for path in (nowhere, f"{nowhere}/snapshots/latest", f"{nowhere}/latency?key={key}"):
        api.problem("GET", path, status=404, kind="unknown-target")
    api.problem("POST", f"{nowhere}/snapshots", {}, status=404, kind="unknown-target")
    detail = api.problem("GET", f"{SNAPSHOTS}/latest", status=404, kind="unknown-snapshot")
    assert "POST" in detail
    absent = f"/v1/snapshots/{'0' * 64}"
    api.problem("GET", absent, status=404, kind="unknown-snapshot")
    headers = {"If-None-Match": f'"{"0" * 64}"'}
    api.problem("GET", absent, status=404, kind="unknown-snapshot", headers=headers)
    unmeasured = farm.network([7])
    detail = api.problem(
        "POST",
        SNAPSHOTS,
        PublishRequest(calibrate_on=(unmeasured.content_hash,)),
        status=409,
        kind="not-calibratable",
    )
    assert unmeasured.content_hash in detail


def test_a_network_with_unmeasured_operators_calibrates_nothing(api: Api) -> None:
    device = api.register(farm.registration()).id
    api.problem("POST", SNAPSHOTS, {}, status=409, kind="empty-table")
    api.file(farm.job(NETWORKS[0].operators[:-1], networks=NETWORKS[:1], rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    assert publish(api, 201).calibrations == ()
    detail = api.problem(
        "POST",
        SNAPSHOTS,
        PublishRequest(calibrate_on=(NETWORKS[0].content_hash,)),
        status=409,
        kind="not-calibratable",
    )
    assert NETWORKS[0].operators[-1].key in detail


def test_one_latency_by_key_and_by_fields(measured: Api) -> None:
    latency = f"/v1/targets/{TARGET}/latency"
    block = NETWORKS[0].operators[1]
    by_key = measured.call("GET", f"{latency}?key={block.key}").json()
    by_fields = measured.call(
        "GET", f"{latency}?kernel=3&expand=2&stride=1&in=8&out=8&size=16&precision=float32"
    ).json()
    assert by_key == by_fields
    assert (by_key["name"], by_key["value_ms"]) == (block.key, 1.0)
    detail = measured.problem(
        "GET",
        f"{latency}?kernel=5&expand=6&stride=1&in=24&out=24&size=56&precision=int8",
        status=404,
        kind="missing-entry",
    )
    assert (
        "mbconv-in:56x56x24-out:56x56x24-kernel:5-expand:6-stride:1-residual:1-act:relu6-int8"
        in detail
    )
    for query, said in (
        ("", "key"),
        ("?key=x&kernel=3", "either"),
        ("?key=nonsense", "nonsense"),
        ("?kernel=4&expand=6&stride=1&in=24&out=24&size=56", "kernel"),
        ("?kernel=3&stride=1&in=24&out=24&size=56", "expand"),
        ("?kernel=3&expand=3&stride=1&in=24&out=24&size=big", "size"),
        ("?colour=red", "colour"),
    ):
        path = f"{latency}{query}"
        assert said in measured.problem("GET", path, status=422, kind="invalid-request")


def test_targets_tell_what_their_tables_hold(measured: Api) -> None:
    (target,) = measured.call("GET", "/v1/targets").json()
    assert (target["id"], target["entries"], target["devices"]) == (TARGET, 8, 1)
    assert measured.call("GET", f"/v1/targets/{TARGET}").json() == target
    (device,) = measured.call("GET", "/v1/devices").json()
    assert (device["agent"], device["serial"]) == ("farm-1", "S1")
    assert device["target_ids"] == [TARGET]


def test_networks_that_are_all_alike_are_calibrated_on(api: Api) -> None:
    """Of one sum and one latency: they cannot tell what every network costs besides."""
    device = api.register(farm.registration()).id
    networks = [farm.network([2, 3], name) for name in ("a", "b", "c", "d")]
    api.file(farm.job(networks[0].operators, networks=networks, rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1, ms=dict.fromkeys("abcd", 10.0)))
    (calibration,) = publish(api, 201).calibrations
    assert calibration.model == "scale"
    assert calibration.scale == pytest.approx(2.0)
