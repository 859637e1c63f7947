from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from netspec.errors import UserError
from netspec.operators import HeadConv, MBConv
from netspec.wire import Entry, Snapshot, Target
from profiler_server import cli
from profiler_server.auth.scopes import Scope
from profiler_server.kit.settings import Settings
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api, read

BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=6, residual=True)
HEAD = "Conv_1-input:7x7x320-output:7x7x1280: {count: 4, mean: 2.5, var: 0.0}\n"
TABLE = (
    HEAD + "expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:5-stride:1-idskip:1:\n"
    "  {count: 982, mean: 3.25, var: 0.25}\n"
)
FACTS = (
    *("--device-model", "Pixel 1", "--soc", "msm8996", "--os-build", "NDE63X"),
    *("--abi", "arm64-v8a", "--runtime", "tflite 1.9", "--delegate", "none", "--threads", "1"),
)
FLOAT32 = ("--precision", "float32")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "table.yaml"
    made.write_text(TABLE, encoding="utf-8")
    return made


@pytest.fixture(autouse=True)
def _this_database(api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api
    monkeypatch.setenv("PROFILER_DATABASE_URL", settings.database_url)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def import_(file: Path, *arguments: str, format_: str = "proxylessnas") -> str:
    """The target's id."""
    said = run("import", str(file), "--format", format_, *arguments).stdout
    found = re.fullmatch(r"\d+ entries imported on target ([0-9a-f]{16})\n", said)
    assert found, said
    return found[1]


def latency(api: Api, target_id: str, key: str) -> Entry:
    return read(Entry, api.call("GET", f"/v1/targets/{target_id}/latency?key={key}"))


def test_an_imported_table_is_served(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    entry = latency(api, target_id, BLOCK.key)
    assert (entry.value_ms, entry.visits, entry.method) == (3.25, 982, "imported")
    target = read(Target, api.call("GET", f"/v1/targets/{target_id}"))
    assert (target.entries, target.devices) == (2, 0)
    assert (target.identity.device_model, target.identity.delegate) == ("Pixel 1", "none")
    snapshot = read(Snapshot, api.call("GET", f"/v1/targets/{target_id}/snapshots/latest"))
    assert snapshot.values_ms[BLOCK.key] == 3.25
    assert snapshot.calibrations == ()


def test_importing_again_gives_the_same_target_and_another_file_another(
    file: Path, tmp_path: Path
) -> None:
    first = import_(file, *FACTS, *FLOAT32)
    assert import_(file, *FACTS, *FLOAT32) == first
    other = tmp_path / "other.yaml"
    other.write_text(HEAD, encoding="utf-8")
    assert import_(other, *FACTS, *FLOAT32) != first


def test_a_wrong_import_is_deleted_with_all_that_is_its_own(
    api: Api, file: Path, make_token: Callable[..., str]
) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    where = f"/v1/targets/{target_id}"
    snapshot = api.call("GET", f"{where}/snapshots/latest").json()["id"]
    reader = Api(api.http, make_token(Scope.TABLES_READ))
    reader.problem("DELETE", where, status=403, kind="missing-scope")
    other = Api(api.http, make_token(Scope.JOBS_WRITE, Scope.AGENT))
    other.problem("DELETE", where, status=403, kind="not-the-owner")
    api.call("DELETE", where, status=204)
    for path in (where, f"{where}/snapshots/latest", f"{where}/latency?key={BLOCK.key}"):
        api.problem("GET", path, status=404, kind="unknown-target")
    api.problem("GET", f"/v1/snapshots/{snapshot}", status=404, kind="unknown-snapshot")
    api.problem("DELETE", where, status=404, kind="unknown-target")
    (event,) = api.call("GET", "/v1/events?kind=target_deleted").json()
    assert event["data"]["target_id"] == target_id
    assert import_(file, *FACTS, *FLOAT32) == target_id


def test_a_target_that_something_was_or_is_to_be_measured_on_stays(api: Api, file: Path) -> None:
    device = api.register(farm.registration()).id
    measured = f"/v1/targets/{farm.identity().id}"
    said = api.problem("DELETE", measured, status=409, kind="target-in-use")
    assert "has a device that measures it;" in said
    api.file(farm.job(farm.blocks(1), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    said = api.problem("DELETE", measured, status=409, kind="target-in-use")
    assert "has visits, which are never deleted" in said
    imported = import_(file, *FACTS, *FLOAT32)
    api.file(farm.job(farm.blocks(1), target_id=imported))
    api.problem("DELETE", f"/v1/targets/{imported}", status=409, kind="target-in-use")


def test_imported_entries_survive_rederiving(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    before = latency(api, target_id, BLOCK.key)
    assert run("rederive").stdout == "3 entries derived (3 before)\n"
    assert latency(api, target_id, BLOCK.key) == before


def test_what_was_imported_is_exported(file: Path, tmp_path: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    said = run("export", target_id, "--format", "proxylessnas")
    assert "mean: 3.25" in said.stdout
    assert said.stderr == ""
    output = tmp_path / "again.yaml"
    run("export", target_id, "--format", "proxylessnas", "--output", str(output))
    assert output.read_text(encoding="utf-8") == said.stdout


def test_a_measured_table_is_exported_and_the_rest_listed(api: Api) -> None:
    device = api.register(farm.registration()).id
    relu = MBConv(**{**BLOCK.model_dump(), "activation": "relu"})
    api.file(farm.job((BLOCK, relu, BLOCK.with_precision("int8")), rounds=1))
    lease = api.claim(device)
    api.upload(farm.visits(lease, device, rounds=1, ms={BLOCK.key: 1.5}))
    with pytest.raises(UserError, match="say --precision"):
        run("export", lease.target_id, "--format", "proxylessnas")
    said = run("export", lease.target_id, "--format", "proxylessnas", *FLOAT32)
    assert "mean: 1.5" in said.stdout
    assert said.stdout.count("mean") == 1
    assert relu.key in said.stderr
    with pytest.raises(UserError, match=re.escape(BLOCK.key)):
        run("export", lease.target_id, "--format", "fbnet")


def test_every_missing_fact_is_named_at_once(file: Path) -> None:
    missing = "--device-model, --soc, --os-build, --abi, --runtime, --delegate, --threads"
    with pytest.raises(UserError, match=f"give {missing}, --precision$"):
        import_(file)
    with pytest.raises(UserError, match="give --soc, --os-build"):
        import_(file, format_="fbnet")


def test_what_is_no_operator_is_refused_or_left_out(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    record = "{count: 4, mean: 2.5, var: 0.0}"
    file.write_text(f"{HEAD}Foo: {record}\nBar: {record}\n", encoding="utf-8")
    with pytest.raises(UserError, match="Bar, Foo; import the rest with --leave-out"):
        import_(file, *FACTS, *FLOAT32)
    assert api.call("GET", "/v1/targets").json() == []
    said = run("import", str(file), "--format", "proxylessnas", *FACTS, *FLOAT32, "--leave-out")
    assert said.stdout.startswith("1 entries imported")
    assert "2 records are no operators of ours: not a key of this format: Bar, Foo" in said.stderr
    file.write_text(f"Foo: {record}\n", encoding="utf-8")
    with pytest.raises(UserError, match="is it really"):
        import_(file, *FACTS, *FLOAT32, "--leave-out")


def test_fbnet_names_its_device(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    order = r'"name: \"order\"\ns: \"NHWC\"\n"'
    times = ", ".join(f'"runtime_us_p{p}": {674 + p}' for p in (0, 10, 50, 90, 100))
    file.write_text(
        f'{{"op_type": "Int8ConvRelu", "op_args": [{order}], "device": "SM-G950U-7.0-24", '
        '"input_shapes": [[1, 112, 112, 32], [32, 1, 1, 32], [32]], "input_dtypes": [6, 6, 2], '
        f"{times}}}\n",
        encoding="utf-8",
    )
    target_id = import_(file, *FACTS[2:], format_="fbnet")
    head = HeadConv(
        input_size=112, in_channels=32, out_channels=32, activation="relu", precision="int8"
    )
    assert latency(api, target_id, head.key).value_ms == pytest.approx(0.724)
    target = read(Target, api.call("GET", f"/v1/targets/{target_id}"))
    assert target.identity.device_model == "SM-G950U-7.0-24"


def test_mistakes_are_told(api: Api, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        import_(tmp_path / "none.yaml", *FACTS, *FLOAT32)
    with pytest.raises(UserError, match="no target: threads"):
        import_(file, *FACTS, *FLOAT32, "--threads", "0")
    with pytest.raises(UserError, match="no target begins with '0123'; there are: none"):
        run("export", "0123", "--format", "ofa")
    target_id = import_(file, *FACTS, *FLOAT32)
    with pytest.raises(UserError, match="cannot write"):
        run("export", target_id, "--format", "proxylessnas", "--output", str(tmp_path))
    device = api.register(farm.registration())
    with pytest.raises(UserError, match="no operator of target"):
        run("export", device.target_ids[0], "--format", "ofa")
    file.write_bytes(b"\xff")
    with pytest.raises(UserError, match="UTF-8"):
        import_(file, *FACTS, *FLOAT32)
    with file.open("wb") as stream:
        stream.truncate(8 * 2**20 + 1)
    with pytest.raises(UserError, match="larger than 8 MiB"):
        import_(file, *FACTS, *FLOAT32)
