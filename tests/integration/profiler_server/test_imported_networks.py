"""Networks of imported tables: priced, calibrated on known latencies, taken along in snapshots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.costs import macs
from netspec.errors import UserError
from netspec.network_files import network_of_config
from netspec.wire import Prediction, PredictRequest, PublishRequest, Snapshot
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.importing import FACTS, import_, nothing_was_stored, run
from tests.integration.profiler_server.service import Api, read
from tests.unit.netspec import configs

pytestmark = pytest.mark.usefixtures("commands_on_this_database")


NETWORK = farm.network([2, 3], "five")


@pytest.fixture
def neutral(tmp_path: Path) -> Path:
    """Every operator of the network in a table of 0.002 ms a thousand multiply-accumulates."""
    made = tmp_path / "mine.csv"
    operators = dict.fromkeys(NETWORK.operators)
    lines = [f"{one.key},{macs(one) * 2e-7 + 0.001},{one.precision}" for one in operators]
    made.write_text("\n".join(["key,ms,precision", *lines]) + "\n", encoding="utf-8")
    return made


def sum_ms() -> float:
    return sum(macs(one) * 2e-7 + 0.001 for one in NETWORK.operators)


def test_a_network_of_an_imported_table_is_priced_as_an_uncalibrated_sum(
    api: Api, neutral: Path
) -> None:
    target_id = import_(neutral, *FACTS, format_="csv")
    ask = PredictRequest(network=NETWORK)
    found = read(Prediction, api.call("POST", f"/v1/targets/{target_id}:predict", ask))
    assert (found.calibrated, found.held_out, found.low_ms) == (False, None, None)
    assert found.predicted_ms == found.sum_ms == pytest.approx(sum_ms())


def test_known_latencies_of_whole_networks_calibrate_an_imported_table(
    api: Api, neutral: Path, tmp_path: Path
) -> None:
    (tmp_path / "five.json").write_text(NETWORK.model_dump_json(), encoding="utf-8")
    networks = tmp_path / "networks.csv"
    networks.write_text(f"config,ms\nfive.json,{sum_ms() * 1.25}\n", encoding="utf-8")
    target_id = import_(neutral, *FACTS, "--networks", str(networks), format_="csv")
    ask = PredictRequest(network=NETWORK)
    found = read(Prediction, api.call("POST", f"/v1/targets/{target_id}:predict", ask))
    assert found.calibrated
    assert found.predicted_ms == pytest.approx(sum_ms() * 1.25)
    said = run("export", target_id, "--format", "csv", "--calibrated").stdout
    header, names, *lines = said.splitlines()
    assert header.startswith(f"# calibrated by snapshot {found.snapshot_id} of target {target_id}")
    assert "add 0 ms to each float32 network's sum" in header
    assert names.startswith("key,precision,ms,")
    assert len(lines) == len(set(NETWORK.operators))
    values = {line.split(",")[0]: float(line.split(",")[2]) for line in lines}
    calibrated = sum(values[one.key] for one in NETWORK.operators)
    assert calibrated == pytest.approx(found.predicted_ms)
    with pytest.raises(UserError, match="fbnet has no header"):
        run("export", target_id, "--format", "fbnet", "--calibrated")


def test_networks_that_cannot_be_calibrated_on_are_told(
    api: Api, neutral: Path, tmp_path: Path
) -> None:
    networks = tmp_path / "networks.jsonl"

    def refused(line: str, why: str) -> None:
        networks.write_text(line, encoding="utf-8")
        with pytest.raises(UserError, match=why):
            import_(neutral, *FACTS, "--networks", str(networks), format_="csv")
        assert nothing_was_stored(api)

    network = NETWORK.model_dump_json()
    (tmp_path / "five.json").write_text(network, encoding="utf-8")
    (tmp_path / "other.json").write_text(
        farm.network([5], "other").model_dump_json(), encoding="utf-8"
    )
    refused('{"config": "five.json", "ms": 500.0}', "five takes 500 ms, its operators 0.0")
    refused('{"config": "other.json", "ms": 5.0}', "lacks 1 of its operators: mbconv-in:16x16x8")
    refused('{"config": "none.json", "ms": 5.0}', "cannot read the network")
    refused('{"config": "five.json"}', r"1 lines are not right: line 1 \(ms: is missing\)")
    refused("[]", "networks.jsonl is empty")
    refused("{", "cannot read")
    twice = f'{{"config": "five.json", "ms": {sum_ms()}}}\n{{"config": "five.json", "ms": 0.08}}'
    refused(twice, "a network has one latency")


def test_a_snapshot_can_be_imported_elsewhere(api: Api, tmp_path: Path) -> None:
    device = api.register(farm.registration()).id
    api.file(farm.job(NETWORK.operators, networks=[NETWORK], rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={NETWORK.name: 10.0}))
    origin = read(
        Snapshot,
        api.call("POST", f"/v1/targets/{lease.target_id}/snapshots", PublishRequest(), status=201),
    )
    file = tmp_path / "table.json"
    run("export", lease.target_id, "--format", "snapshot", "--output", str(file))
    assert Snapshot.model_validate_json(file.read_bytes()) == origin
    with pytest.raises(UserError, match="leave --soc out"):
        import_(file, "--soc", "other", format_="snapshot")
    target_id = import_(file, "--yes", format_="snapshot")
    assert target_id != lease.target_id
    copy = read(Snapshot, api.call("GET", f"/v1/targets/{target_id}/snapshots/latest"))
    assert copy.calibrations == origin.calibrations
    assert copy.values_ms == origin.values_ms
    assert [one.measured_at for one in copy.entries] == [one.measured_at for one in origin.entries]
    assert copy.identity.device_model == origin.identity.device_model
    ask = PredictRequest(network=NETWORK)
    found = read(Prediction, api.call("POST", f"/v1/targets/{target_id}:predict", ask))
    assert found.calibrated
    assert found.predicted_ms == pytest.approx(10.0)
    path = f"/v1/targets/{target_id}/snapshots"
    again = read(Snapshot, api.call("POST", path, PublishRequest()))
    assert again.calibrations == origin.calibrations
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"value_ms":1.0', '"value_ms":1.5', 1), encoding="utf-8")
    with pytest.raises(UserError, match="it was changed; ask for it again"):
        import_(file, format_="snapshot")


def test_published_networks_are_priced_over_rest(api: Api, tmp_path: Path) -> None:
    config = configs.proxylessnas()
    network = network_of_config(config, input_size=32, precision="float32")
    file = tmp_path / "table.jsonl"
    lines = [
        json.dumps({"key": one.key, "ms": macs(one) * 1e-6})
        for one in dict.fromkeys(network.operators)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    target_id = import_(file, *FACTS, format_="jsonl")
    path = f"/v1/targets/{target_id}:predict"
    found = read(Prediction, api.call("POST", path, {"config": config, "input_size": 32}))
    assert found.predicted_ms == pytest.approx(sum(macs(one) * 1e-6 for one in network.operators))
    assert found.subject_hash == network.content_hash
    said = api.problem(
        "POST", path, {"config": {"name": "VGG"}}, status=422, kind="invalid-request"
    )
    assert "there is no name 'VGG'" in said
    for wrong in ({}, {"config": config, "network": NETWORK.model_dump(mode="json")}):
        api.problem("POST", path, wrong, status=422, kind="invalid-request")
