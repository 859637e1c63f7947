"""The whole chain: agent, a real adb daemon, a program that really measures, a real server."""

import signal
from pathlib import Path

import pytest

from netspec.launches import read_launch
from netspec.networks import Network
from netspec.protocol import PHONE, Acceptance, CoolDown, Gate, MeasurementProtocol
from netspec.wire import JobRequest, ModelSubject, Visit
from tests.benchmark_model.standin import litert_library
from tests.integration.device_agent.models import block, undelegated_bytes
from tests.integration.device_agent.processes import Farm
from tests.integration.device_agent.test_agent_processes import upload
from tests.phones.adbd import AdbdPhone
from tests.waiting import wait_for

#: short visits, and a gate that bears the other tests on this machine
PROTOCOL = PHONE.model_copy(
    update={
        "warmup_ms": 1.0,
        "measure_ms": 5.0,
        "gate": Gate(max_busy_share=1.0, busy_window_s=0.01),
        "cool_down": CoolDown(seconds=0.1, times=2, then="measure"),
        "anchor": None,
        "acceptance": Acceptance(max_spread=100.0),
    }
)


@pytest.fixture
def options(adbd_phone: AdbdPhone, benchmark_model: Path, tmp_path: Path) -> list[str]:
    """Of an agent that measures on the phone."""
    protocol = tmp_path / "protocol.json"
    protocol.write_text(PROTOCOL.model_dump_json())
    return [
        *("--phone", adbd_phone.address, "--runner", str(benchmark_model)),
        *("--runner-version", "stand-in", "--library", str(litert_library())),
        *("--protocol", str(protocol)),
    ]


def target_id(farm: Farm) -> str:
    with farm.http() as http:
        answer = http.request("GET", "/v1/devices").json()
    devices = answer["items"] if isinstance(answer, dict) else answer
    return str(devices[0]["target_ids"][0])


def visit_of(farm: Farm, model: ModelSubject) -> Visit:
    with farm.client() as client:
        return client.visits(target_id(farm), model.sha256)[0].visit


def test_a_job_is_measured_on_the_phone_and_a_refusal_is_explained(
    farm: Farm, options: list[str], adbd_phone: AdbdPhone
) -> None:
    farm.run_agent(*options)  # makes the target known
    network = Network(name="two blocks", operators=(block(8), block(8)))
    partly = upload(farm, undelegated_bytes(partly=True), "partly")
    corrupt = upload(farm, b"\x1c\x00\x00\x00TFL3" + bytes(64), "corrupt")
    job = farm.file(
        JobRequest(
            name="phone",
            target_id=target_id(farm),
            operators=(block(8), block(8, "int8")),
            networks=(network,),
            models=(partly, corrupt),
            rounds=3,
        )
    )
    log = farm.run_agent(*options)
    job = farm.job(job)
    assert (job.tasks, job.tasks_done, job.visits_done) == (5, 4, 12), log
    # Whether a task that failed once on one phone is given up is the server's to say.
    assert "done=4 failed=1" in log
    assert read_launch(visit_of(farm, partly).raw).delegation == "partial"
    assert "benchmark_model ended with exit code 1" in log
    assert "Traceback" not in log
    left = adbd_phone.root / "data/local/tmp/proxyless-farm"
    assert not (left / "journal").exists()
    assert list((left / "stretches").iterdir()) == []
    assert (adbd_phone.root / "phone/fixed_performance").read_text().strip() == "false"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_agent_that_ends_in_the_middle_leaves_the_phone_as_it_was(
    farm: Farm, options: list[str], adbd_phone: AdbdPhone, number: signal.Signals
) -> None:
    farm.run_agent(*options)
    job = farm.file(
        JobRequest(
            name="long", target_id=target_id(farm), operators=(block(8), block(16)), rounds=200
        )
    )
    agent = farm.start_agent(*options)
    stretches = adbd_phone.root / "data/local/tmp/proxyless-farm/stretches"
    wait_for(lambda: list(stretches.glob("*/progress")))
    agent.send_signal(number)
    log = agent.wait().stderr
    if number == signal.SIGTERM:
        assert agent.returncode == 0, log
        assert farm.visits_stored() == farm.job(job).visits_done > 0
    journal = adbd_phone.root / "data/local/tmp/proxyless-farm/journal"
    assert journal.exists() == (number == signal.SIGKILL)
    with farm.http() as http:
        http.request("POST", f"/v1/jobs/{job.id}:cancel")
    farm.run_agent(*options)
    assert not journal.exists()


def test_the_protocol_of_the_test_is_one_of_phones() -> None:
    assert MeasurementProtocol.model_validate_json(PROTOCOL.model_dump_json()) == PROTOCOL
    assert PROTOCOL.affinity == "fastest_cluster"
