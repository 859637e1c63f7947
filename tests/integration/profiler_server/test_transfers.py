"""A new phone of a known family starts from its sibling's table, an updated one from its own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from netspec.errors import UserError
from netspec.wire import Snapshot, TargetEntry, TaskOutcome, Transfer
from profiler_server import cli
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api, read

OPERATORS = farm.blocks(8)
SIBLING, TARGET = farm.identity("Pixel 1").id, farm.identity("Pixel 1 XL").id


def measure(api: Api, model: str, ms: dict[str, float]) -> None:
    """Measures the named operators on a device of its own."""
    device = api.register(farm.registration(model, model)).id
    operators = [one for one in OPERATORS if one.key in ms]
    target = farm.identity(model).id
    api.file(farm.job(operators, rounds=2, target_id=target, remeasure=True))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=2, ms=ms))
    api.release(lease)


@pytest.fixture
def measured(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The sibling has 8 operators of 1 to 8 ms; the target the first three, 20 % slower."""
    monkeypatch.setenv("PROFILER_DATABASE_URL", settings.database_url)
    all_ms = {one.key: float(index + 1) for index, one in enumerate(OPERATORS)}
    measure(api, "Pixel 1", all_ms)
    measure(api, "Pixel 1 XL", {one.key: 1.2 * all_ms[one.key] for one in OPERATORS[:3]})
    return api


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def entry(api: Api, at: int) -> TargetEntry:
    path = f"/v1/targets/{TARGET}/latency?key={OPERATORS[at].key}"
    return read(TargetEntry, api.call("GET", path))


def latest(api: Api) -> Snapshot:
    return read(Snapshot, api.call("GET", f"/v1/targets/{TARGET}/snapshots/latest"))


def test_what_only_the_sibling_has_is_filled_in(measured: Api) -> None:
    said = run("transfer", SIBLING, TARGET)
    assert said.startswith(
        "float32: 5 entries filled in, times 1.200; mean error 0.0 % over 3 operators, worst 0.0 %"
    )
    own, filled = entry(measured, 2), entry(measured, 7)
    assert (own.method, filled.method) == ("isolated", "fitted")
    assert (own.fitted_from, filled.fitted_from) == (None, SIBLING)
    assert own.value_ms == pytest.approx(3.6)
    assert filled.value_ms == pytest.approx(9.6)
    assert filled.low_ms < filled.value_ms < filled.high_ms
    assert filled.measured_at == farm.STARTED_AT.replace(second=6)


def test_what_was_filled_in_is_published_and_exported_by_name(
    measured: Api,
) -> None:
    said = run("transfer", SIBLING, TARGET)
    snapshot = latest(measured)
    assert f"published with them as snapshot {snapshot.id}" in said
    fitted = [one.name for one in snapshot.entries if one.method == "fitted"]
    assert sorted(fitted) == sorted(one.key for one in OPERATORS[3:])
    # The same content is the same snapshot.
    request = {"source_target_id": SIBLING}
    again = read(Transfer, measured.call("POST", f"/v1/targets/{TARGET}:transfer", request))
    assert again.snapshot_id == snapshot.id
    document = CliRunner().invoke(cli.app, ["export", TARGET, "--format", "csv"])
    note = f"5 of 8 entries were not measured on target {TARGET}: they are those of {SIBLING}"
    assert document.stdout.startswith(f"# {note}")
    assert note in document.stderr
    own = CliRunner().invoke(cli.app, ["export", SIBLING, "--format", "csv"])
    assert own.stderr == ""
    assert own.stdout.startswith("key,")


def test_a_measurement_replaces_what_was_filled_in(measured: Api) -> None:
    run("transfer", SIBLING, TARGET)
    measure(measured, "Pixel 1 XL", {OPERATORS[7].key: 11.0})
    own = entry(measured, 7)
    assert (own.method, own.value_ms, own.fitted_from) == ("isolated", 11.0, None)
    # Again: the factor is fitted to what was measured, and only what was not is filled in.
    assert run("transfer", SIBLING, TARGET).startswith("float32: 4 entries filled in, times 1.2")
    assert entry(measured, 7).value_ms == 11.0


def test_what_was_filled_in_counts_for_no_budget(measured: Api) -> None:
    run("transfer", SIBLING, TARGET)
    job = measured.file(farm.job(OPERATORS, rounds=2, target_id=TARGET, budget=2))
    assert (job.tasks, job.reused) == (2, 3)


def test_a_transfer_needs_operators_of_both(measured: Api) -> None:
    measured.register(farm.registration("Pixel 9", "Pixel 9"))
    with pytest.raises(UserError, match="fewer than 3 operators are measured on both"):
        run("transfer", SIBLING, farm.identity("Pixel 9").id)
    with pytest.raises(UserError, match="no target begins with 'nowhere'; there are: "):
        run("transfer", SIBLING, "nowhere")
    with pytest.raises(UserError, match="is the source itself"):
        run("transfer", SIBLING, SIBLING)


def test_what_was_filled_in_survives_a_new_derivation(measured: Api) -> None:
    run("transfer", SIBLING, TARGET)
    before = [entry(measured, at) for at in (2, 7)]
    assert before[1].snapshot_id == latest(measured).id
    assert run("rederive") == "11 entries derived (11 before)\n"
    assert [entry(measured, at) for at in (2, 7)] == before


def test_targets_that_differ_are_told_by_how_much(measured: Api) -> None:
    measure(measured, "Pixel 1 XL", {OPERATORS[3].key: 2.4})
    # Ratios of 1.2 three times and once 0.6: left out, it is predicted twice as high.
    request = {"source_target_id": SIBLING, "within_percent": 10}
    said = read(Transfer, measured.call("POST", f"/v1/targets/{TARGET}:transfer", request))
    (one,) = said.precisions
    assert (said.state, one.filled, one.shared) == ("refused", 0, 4)
    assert one.worst_operator == OPERATORS[3].key
    assert (one.factor, one.worst_percent, one.mape_percent) == pytest.approx((1.2, 100, 25))
    with pytest.raises(UserError, match=r"differ by 25\.0 % after scaling, more than 10 %"):
        run("transfer", SIBLING, TARGET, "--within", "10")
    measured.call("GET", f"/v1/targets/{TARGET}/latency?key={OPERATORS[7].key}", status=404)
    assert run("transfer", SIBLING, TARGET, "--within", "30").startswith("float32: 4 entries")


def test_an_update_makes_a_target_that_is_offered_the_old_entries(api: Api) -> None:
    old = farm.registration()
    device = api.register(old).id
    api.file(farm.job(OPERATORS, rounds=2))
    lease = api.claim(device)
    all_ms = {one.key: float(index + 1) for index, one in enumerate(OPERATORS)}
    api.upload(farm.visits(lease, device, rounds=2, ms=all_ms))
    api.release(lease)
    updated = old.targets[0].model_copy(update={"os_build": "QP1A.2", "runtime_sha256": "cd" * 32})
    other = old.targets[0].model_copy(update={"threads": 4})
    assert api.register(old.model_copy(update={"targets": (updated, other)})).id == device
    (offer,) = [one for one in api.call("GET", "/v1/events").json() if "offered" in one["kind"]]
    assert offer["data"] == {"target_id": updated.id, "source_target_id": old.targets[0].id}
    offers = api.call("GET", f"/v1/targets/{updated.id}/predecessors").json()
    assert [one["id"] for one in offers] == [old.targets[0].id]
    assert api.call("GET", f"/v1/targets/{other.id}/predecessors").json() == []
    # A registration that says nothing new offers nothing again.
    api.register(old.model_copy(update={"targets": (updated,)}))
    assert sum("offered" in one["kind"] for one in api.call("GET", "/v1/events").json()) == 1
    check_and_carry_over(api, device, old.targets[0].id, updated.id, all_ms)


def check_and_carry_over(
    api: Api, device: str, source: str, target: str, all_ms: dict[str, float]
) -> None:
    """Measures a sample, 5 % slower than before the update, and carries the rest over."""
    path = f"/v1/targets/{target}:transfer"
    request = {"source_target_id": source, "measure": 4, "within_percent": 1}
    first = read(Transfer, api.call("POST", path, request))
    again = read(Transfer, api.call("POST", path, request))
    assert (first.state, first.job_id) == ("measuring", again.job_id)
    lease = api.claim(device)
    assert (lease.target_id, len(lease.tasks)) == (target, 4)
    slower = {key: 1.05 * value for key, value in all_ms.items()}
    api.upload(farm.visits(lease, device, rounds=10, ms=slower))
    done = read(Transfer, api.call("POST", path, request))
    assert done.state == "filled"
    assert (done.precisions[0].filled, done.precisions[0].shared) == (4, 4)
    assert done.precisions[0].factor == pytest.approx(1.05)
    answer = api.call("GET", f"/v1/targets/{target}/snapshots/latest")
    assert read(Snapshot, answer).id == done.snapshot_id
    entries = {one.name: one for one in read(Snapshot, answer).entries}
    assert {one.method for one in entries.values()} == {"isolated", "fitted"}
    for key, value in slower.items():
        assert entries[key].value_ms == pytest.approx(value)


def test_bad_transfers_are_told(measured: Api) -> None:
    path = f"/v1/targets/{TARGET}:transfer"
    body = {"source_target_id": SIBLING, "within_percent": 0}
    measured.problem("POST", path, body, status=422, kind="invalid-request")
    body = {"source_target_id": "0" * 16}
    measured.problem("POST", path, body, status=404, kind="unknown-target")
    body = {"source_target_id": TARGET}
    measured.problem("POST", path, body, status=409, kind="not-transferable")


def test_a_check_that_could_not_measure_enough_says_which_job(make_api: MakeApi) -> None:
    api = make_api(retry_backoff_s=0.0)
    measure(api, "Pixel 1", {one.key: 1.0 for one in OPERATORS})
    device = api.register(farm.registration("S2", "Pixel 1 XL")).id
    path = f"/v1/targets/{TARGET}:transfer"
    request = {"source_target_id": SIBLING, "measure": 4}
    job_id = read(Transfer, api.call("POST", path, request)).job_id
    for _ in range(3):
        lease = api.claim(device)
        failed = [TaskOutcome(task_id=one.task_id, state="failed") for one in lease.tasks]
        api.release(lease, failed)
    detail = api.problem("POST", path, request, status=409, kind="not-transferable")
    assert f"POST /v1/jobs/{job_id}:retry" in detail
    assert "let `measure`" not in detail
    api.call("POST", f"/v1/jobs/{job_id}:retry")
    assert read(Transfer, api.call("POST", path, request)).job_id == job_id


@pytest.mark.usefixtures("measured")
def test_the_command_lists_offers() -> None:
    assert "was never another target" in run("transfer", "offers", TARGET)
    assert "job job_" in run("transfer", SIBLING, TARGET, "--measure", "5")
