from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.equivalents import equivalents
from netspec.errors import UserError
from netspec.operators import HeadConv, MBConv
from netspec.wire import (
    LookedUpLatencies,
    Snapshot,
    Target,
    TargetEntry,
    TargetLatencies,
)
from profiler_server.auth.scopes import Scope
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.importing import (
    FACTS,
    FLOAT32,
    import_,
    nothing_was_stored,
    run,
)
from tests.integration.profiler_server.service import Api, read

pytestmark = pytest.mark.usefixtures("commands_on_this_database")

BLOCK = MBConv(input_size=56, in_channels=24, out_channels=24, kernel=5, expand=6, residual=True)
HEAD = "Conv_1-input:7x7x320-output:7x7x1280: {count: 4, mean: 2.5, var: 0.0}\n"
TABLE = (
    HEAD + "expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:5-stride:1-idskip:1:\n"
    "  {count: 982, mean: 3.25, var: 0.25}\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "table.yaml"
    made.write_text(TABLE, encoding="utf-8")
    return made


def latency(api: Api, target_id: str, key: str) -> TargetEntry:
    return read(TargetEntry, api.call("GET", f"/v1/targets/{target_id}/latency?key={key}"))


def test_an_imported_table_is_served(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    entry = latency(api, target_id, BLOCK.key)
    assert (entry.value_ms, entry.visits, entry.method) == (3.25, 982, "imported")
    assert (entry.target_id, entry.identity.runtime, entry.batch) == (target_id, "tflite 1.9", 1)
    target = read(Target, api.call("GET", f"/v1/targets/{target_id}"))
    assert (target.entries, target.devices) == (2, 0)
    assert (target.identity.device_model, target.identity.delegate) == ("Pixel 1", "none")
    snapshot = read(Snapshot, api.call("GET", f"/v1/targets/{target_id}/snapshots/latest"))
    assert snapshot.values_ms[BLOCK.key] == 3.25
    assert entry.snapshot_id == snapshot.id
    assert snapshot.calibrations == ()


def test_the_same_file_again_is_said_and_changes_nothing(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    before = api.call("GET", f"/v1/targets/{target_id}/snapshots/latest").json()
    said = run("import", str(file), "--format", "proxylessnas", *FACTS, *FLOAT32)
    assert said.stdout == f"0 entries imported on target {target_id}\n"
    assert said.stderr == f"table.yaml is in the table of target {target_id} already\n"
    assert api.call("GET", f"/v1/targets/{target_id}/snapshots/latest").json() == before


def test_the_same_file_twice_in_one_import_is_refused(api: Api, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    copy.write_bytes(file.read_bytes())
    given = ("import", str(file), str(copy), "--format", "proxylessnas", *FACTS, *FLOAT32)
    with pytest.raises(UserError, match=r"table\.yaml and copy\.yaml are the same file"):
        run(*given)
    assert nothing_was_stored(api)


def test_files_of_one_device_become_one_target(api: Api, file: Path, tmp_path: Path) -> None:
    other, third = tmp_path / "other.yaml", tmp_path / "third.yaml"
    # The same head, measured 12 times more: the mean of all 16 is 2.125 ms.
    other.write_text(HEAD.replace("count: 4, mean: 2.5", "count: 12, mean: 2.0"), encoding="utf-8")
    third.write_text(HEAD.replace("7x7", "14x14").replace("2.5", "9.0"), encoding="utf-8")
    together = run(
        "import", str(file), str(other), "--format", "proxylessnas", *FACTS, *FLOAT32
    ).stdout
    target_id = together.split()[-1]
    assert together == f"2 entries imported on target {target_id}\n"
    assert import_(third, *FACTS, *FLOAT32) == target_id
    assert read(Target, api.call("GET", f"/v1/targets/{target_id}")).entries == 3
    head = HeadConv(input_size=7, in_channels=320, out_channels=1280)
    entry = latency(api, target_id, head.key)
    assert (entry.value_ms, entry.visits) == (2.125, 16)
    assert (entry.low_ms, entry.high_ms) == (2.0, 2.5)
    snapshot = read(Snapshot, api.call("GET", f"/v1/targets/{target_id}/snapshots/latest"))
    assert len(snapshot.entries) == 3


@pytest.mark.one_database
def test_precision_is_part_of_an_imported_target(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    with pytest.raises(UserError, match=rf"table.yaml is a table of target {target_id} already"):
        import_(file, *FACTS, "--precision", "int8")
    assert len(api.call("GET", "/v1/targets").json()) == 1
    other = import_(file, *FACTS, "--precision", "int8", "--yes")
    assert other != target_id
    labels = {one["identity"]["precision"] for one in api.call("GET", "/v1/targets").json()}
    assert labels == {"float32", "int8"}
    key = BLOCK.with_precision("int8").key
    api.problem(
        "GET", f"/v1/targets/{target_id}/latency?key={key}", status=404, kind="missing-entry"
    )
    assert latency(api, other, key).value_ms == 3.25


@pytest.mark.parametrize(("times", "unit"), [(1000.0, "us"), (0.001, "s")])
@pytest.mark.one_database
def test_units_that_are_wrong_by_1000_are_asked_about(
    api: Api, file: Path, times: float, unit: str
) -> None:
    text = TABLE.replace("2.5", f"{2.5 * times}").replace("3.25", f"{3.25 * times}")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"are they {unit}, not ms\?; .* --yes$"):
        import_(file, *FACTS, *FLOAT32)
    assert nothing_was_stored(api)
    assert latency(
        api, import_(file, *FACTS, *FLOAT32, "--yes"), BLOCK.key
    ).value_ms == pytest.approx(3.25 * times)


@pytest.mark.parametrize("value", ["0", "1e9"])
@pytest.mark.one_database
def test_single_values_that_cannot_be_are_asked_about(api: Api, file: Path, value: str) -> None:
    file.write_text(TABLE + HEAD.replace("7x7", "14x14").replace("2.5", value), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"1 latencies are over 1000 times off .* head-in:14x14x320"
    ):
        import_(file, *FACTS, *FLOAT32)
    assert nothing_was_stored(api)


def test_a_table_of_another_device_is_refused_under_a_known_target(
    api: Api, file: Path, tmp_path: Path
) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    other, foreign = tmp_path / "other.yaml", tmp_path / "foreign.yaml"
    other.write_text(TABLE.replace("3.25", "6.5").replace("2.5", "5.0"), encoding="utf-8")
    foreign.write_text(HEAD.replace("7x7", "14x14").replace("2.5", "0.2"), encoding="utf-8")
    for one, why in ((other, "the median takes 2.00 times as long"), (foreign, "as much work")):
        with pytest.raises(UserError, match=why) as raised:
            import_(one, *FACTS, *FLOAT32)
        assert f"{one.name} is not of the device of target {target_id}" in str(raised.value)
    with pytest.raises(UserError, match=r"other\.yaml is not of the device"):
        run(
            "import",
            str(file),
            str(other),
            "--format",
            "proxylessnas",
            *FACTS,
            *FLOAT32,
            "--threads",
            "2",
            "--yes",
        )
    assert read(Target, api.call("GET", f"/v1/targets/{target_id}")).entries == 2
    assert len(api.call("GET", "/v1/targets").json()) == 1
    assert import_(other, *FACTS, *FLOAT32, "--soc", "sm8150") != target_id


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
    job = farm.job(farm.blocks(1), target_id=imported)
    said = api.problem("POST", "/v1/jobs", job, status=422, kind="imported-target")
    assert f"target {imported} is an imported table, which no device can measure" in said
    api.call("DELETE", f"/v1/targets/{imported}", status=204)


def test_imported_entries_survive_rederiving(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    device = api.register(farm.registration()).id
    api.file(farm.job(farm.blocks(3), rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    before = latency(api, target_id, BLOCK.key)
    assert run("rederive").stdout == "3 entries derived (3 before)\n"
    assert latency(api, target_id, BLOCK.key) == before


@pytest.mark.one_database
def test_what_was_imported_is_exported(file: Path, tmp_path: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    said = run("export", target_id, "--format", "proxylessnas")
    assert "mean: 3.25" in said.stdout
    assert said.stderr == ""
    output = tmp_path / "again.yaml"
    run("export", target_id, "--format", "proxylessnas", "--output", str(output))
    assert output.read_text(encoding="utf-8") == said.stdout


@pytest.mark.one_database
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


@pytest.mark.one_database
def test_every_missing_fact_is_named_at_once(file: Path) -> None:
    missing = "--device-model, --soc, --os-build, --abi, --runtime, --delegate, --threads"
    with pytest.raises(UserError, match=f"give {missing}, --precision$"):
        import_(file)
    with pytest.raises(UserError, match="give --soc, --os-build"):
        import_(file, format_="fbnet")


@pytest.mark.one_database
def test_what_is_no_operator_is_refused_or_left_out(api: Api, tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    record = "{count: 4, mean: 2.5, var: 0.0}"
    file.write_text(f"{HEAD}Foo: {record}\nBar: {record}\n", encoding="utf-8")
    with pytest.raises(UserError, match="Bar, Foo; import the rest with --leave-out"):
        import_(file, *FACTS, *FLOAT32)
    assert api.call("GET", "/v1/targets").json() == []
    said = run("import", str(file), "--format", "proxylessnas", *FACTS, *FLOAT32, "--leave-out")
    assert said.stdout.startswith("1 entries imported")
    assert (
        f"2 records of {file} are no operators of ours: not a key of this format: Bar, Foo"
        in said.stderr
    )
    file.write_text(f"Foo: {record}\n", encoding="utf-8")
    with pytest.raises(UserError, match="is it really"):
        import_(file, *FACTS, *FLOAT32, "--leave-out")


@pytest.mark.one_database
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


@pytest.mark.one_database
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
        stream.truncate(16 * 2**20 + 1)
    with pytest.raises(UserError, match="larger than 16 MiB"):
        import_(file, *FACTS, *FLOAT32)


@pytest.mark.one_database
def test_what_computes_the_same_has_one_latency(api: Api, file: Path) -> None:
    target_id = import_(file, *FACTS, *FLOAT32)
    (twin,) = equivalents(BLOCK)
    assert latency(api, target_id, twin.key).value_ms == 3.25
    answer = api.call(
        "GET", f"/v1/targets/{target_id}/latencies?key={twin.key}&key={BLOCK.key}&key=x", status=422
    )
    assert "'x' is not an operator key" in answer.text
    found = read(
        TargetLatencies,
        api.call("GET", f"/v1/targets/{target_id}/latencies?key={twin.key}&key={BLOCK.key}"),
    )
    assert [one.key for one in found.latencies] == [twin.key, BLOCK.key]
    assert {one.entry and one.entry.value_ms for one in found.latencies} == {3.25}
    assert (found.target_id, found.identity.runtime, found.batch) == (target_id, "tflite 1.9", 1)
    assert found.snapshot_id is not None
    asked = {"target_id": target_id, "keys": [BLOCK.key]}
    (one,) = read(LookedUpLatencies, api.call("POST", "/v1/latencies:lookup", asked)).latencies
    assert (one.key, one.state) == (BLOCK.key, "hit")
