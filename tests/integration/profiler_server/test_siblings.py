"""A new phone of a known family starts from its sibling's table."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from netspec.errors import UserError
from netspec.wire import Entry
from profiler_server import cli
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server import farm
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


def entry(api: Api, at: int) -> Entry:
    path = f"/v1/targets/{TARGET}/latency?key={OPERATORS[at].key}"
    return read(Entry, api.call("GET", path))


def test_what_only_the_sibling_has_is_filled_in(measured: Api) -> None:
    said = run("transfer", SIBLING, TARGET)
    assert said == "float32: 5 entries filled in, times 1.200; mean error 0.0 %\n"
    own, filled = entry(measured, 2), entry(measured, 7)
    assert (own.method, filled.method) == ("isolated", "fitted")
    assert own.value_ms == pytest.approx(3.6)
    assert filled.value_ms == pytest.approx(9.6)
    assert filled.low_ms < filled.value_ms < filled.high_ms
    assert filled.measured_at == farm.STARTED_AT.replace(second=6)


def test_a_measurement_replaces_what_was_filled_in(measured: Api) -> None:
    run("transfer", SIBLING, TARGET)
    measure(measured, "Pixel 1 XL", {OPERATORS[7].key: 11.0})
    assert (entry(measured, 7).method, entry(measured, 7).value_ms) == ("isolated", 11.0)
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
    with pytest.raises(UserError, match="no target 'nowhere'; there are: "):
        run("transfer", SIBLING, "nowhere")
