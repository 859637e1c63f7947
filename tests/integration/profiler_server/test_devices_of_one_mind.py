"""One device of several cannot decide what a table says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from netspec.wire import (
    EntryDetail,
    Job,
    LatencyLookup,
    Lease,
    LookedUpLatencies,
    Profile,
    Snapshot,
    VisitBatch,
)
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

TARGET = farm.identity().id
BLOCKS = farm.blocks(3)
HONEST = (0.99, 1.0, 1.01)


def visits_of(api: Api, serial: str, *, rounds: int = 10) -> tuple[str, Lease]:
    """A device with a lease on the blocks."""
    device = api.register(farm.registration(serial)).id
    api.file(farm.job(BLOCKS, rounds=rounds, remeasure=True))
    return device, api.claim(device)


def measure(api: Api, factors: Sequence[float], *, rounds: int = 10) -> None:
    """Every device visits each block, which takes it its own factor times 2 ms."""
    for number, factor in enumerate(factors):
        device, lease = visits_of(api, f"S{number}", rounds=rounds)
        ms = {block.key: 2.0 * factor for block in BLOCKS}
        assert set(api.upload(farm.visits(lease, device, rounds=rounds, ms=ms))) == {"stored"}
        api.release(lease)


def detail(api: Api) -> EntryDetail:
    path = f"/v1/targets/{TARGET}/entries/{BLOCKS[0].content_hash}"
    return read(EntryDetail, api.call("GET", path))


@pytest.mark.parametrize("lie", [1000.0, 0.0005, 1.045])
@pytest.mark.one_database
def test_a_device_that_lies_moves_an_entry_by_2_percent_at_most(api: Api, lie: float) -> None:
    """Also with more visits than all others have."""
    measure(api, HONEST)
    before = detail(api).entry
    assert before.value_ms == pytest.approx(2.0)
    assert before.low_ms < 1.99
    assert before.high_ms > 2.01
    liar, lease = visits_of(api, "liar", rounds=50)
    api.upload(farm.visits(lease, liar, rounds=50, ms={one.key: 2.0 * lie for one in BLOCKS}))
    after = detail(api)
    assert abs(after.entry.value_ms / before.value_ms - 1) <= 0.02
    assert after.entry.low_ms <= 2.0 <= after.entry.high_ms
    assert {one.serial: one.counts for one in after.devices}["liar"] is (lie == 1.045)
    assert not after.entry.held_back


def test_one_of_three_that_lies_leaves_the_entry_to_the_others(api: Api) -> None:
    measure(api, (1.0, 1000.0, 1.01))
    found = detail(api).entry
    assert found.value_ms == pytest.approx(2.01)
    assert found.low_ms <= 2.0 <= found.high_ms < 2.3
    assert found.devices == 3


def test_what_two_devices_disagree_about_is_held_back_everywhere(api: Api) -> None:
    measure(api, (1.0, 1.5))
    assert detail(api).entry.held_back
    block = BLOCKS[0]
    path = f"/v1/targets/{TARGET}/latency?key={block.key}"
    said = api.problem("GET", path, status=404, kind="missing-entry")
    assert block.key in said
    assert "one more device" in said
    looked_up = read(
        LookedUpLatencies,
        api.call("POST", "/v1/latencies:lookup", LatencyLookup(target_id=TARGET, operators=BLOCKS)),
    )
    assert {(one.state, one.held_back) for one in looked_up.latencies} == {("missing", True)}
    publish = f"/v1/targets/{TARGET}/snapshots"
    api.problem("POST", publish, {}, status=409, kind="empty-table")
    network = {"network": {"name": "one", "operators": [block.model_dump(mode="json")]}}
    predict = f"/v1/targets/{TARGET}:predict"
    said = api.problem("POST", predict, network, status=404, kind="missing-entry")
    assert "holds back" in said
    jobs = [Job.model_validate(one) for one in api.call("GET", "/v1/jobs").json()]
    assert all(entry.held_back for job in jobs for entry in api.entries(job.id))
    # What is not doubted is published, and the rest named.
    device = api.register(farm.registration("S0")).id
    api.file(farm.job(farm.blocks(1, channels=40)))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2))
    snapshot = read(Snapshot, api.call("POST", publish, {}, status=201))
    assert len(snapshot.entries) == 1
    assert snapshot.held_back == tuple(sorted(one.key for one in BLOCKS))


def test_a_third_device_settles_it(api: Api) -> None:
    measure(api, (1.0, 1.5))
    device, lease = visits_of(api, "third")
    api.upload(farm.visits(lease, device, rounds=10, ms={one.key: 2.02 for one in BLOCKS}))
    found = detail(api)
    assert not found.entry.held_back
    assert found.entry.value_ms == pytest.approx(2.01)
    assert [one.counts for one in sorted(found.devices, key=lambda one: one.serial)] == [
        True,
        False,
        True,
    ]


@pytest.mark.one_database
def test_profiles_of_networks_are_no_way_round_it(api: Api) -> None:
    """Operators' times inside networks, which no visit of an operator backs."""
    network = farm.network([2, 3])
    for number, factor in enumerate((1.0, 1.01, 1000.0)):
        registration = farm.registration(f"S{number}").model_copy(
            update={"methods": ("isolated", "in_network")}
        )
        device = api.register(registration).id
        api.file(farm.job(networks=(network,), method="in_network", remeasure=True))
        lease = api.claim(device)
        times = tuple(100.0 * factor for _ in network.operators)
        profile = Profile(operators_us=times, statistic="p5", count=5)
        batch = farm.visits(lease, device, rounds=2, ms={network.name: factor})
        profiled = tuple(one.model_copy(update={"profile": profile}) for one in batch.visits)
        api.upload(VisitBatch(visits=profiled))
    key = network.operators[0].key
    found = api.call("GET", f"/v1/targets/{TARGET}/latency?key={key}").json()
    assert found["value_ms"] == pytest.approx(0.1005)
    assert found["devices"] == 3
