"""A farm worth looking at: two targets, phones that disagree, networks, names full of markup."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import numpy as np

from netspec.operators import Operator
from netspec.spaces import Space, Stage
from netspec.statistics import VisitStatistics
from netspec.tflite import encode
from netspec.wire import (
    Conditions,
    EnergyMeter,
    EnergySubject,
    EnergyUpload,
    Job,
    Lease,
    OperatorSubject,
    Profile,
    PublishRequest,
    TaskOutcome,
    Visit,
    VisitBatch,
    Window,
    WindowsUpload,
)
from profiler_server.leases.retries import MOST_FAILURES
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api
from tests.unit.netspec.test_energy import rounds

SCRIPT = "<script>alert('x')</script>"
MODELS = ("Pixel 1", "Pixel 8")
SPACE = Space(
    input_size=32,
    width=0.5,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=2, stride=2)),
)
_ROUNDS = 3
METER = EnergyMeter(method="odpm", rails=("S2M_VDD_CPUCL2",))
DAY_SERIAL, DAY_MODEL = "HTday", "Pixel 5"
LEFT_OUT_MODEL = "Pixel 4"
#: whose table has energies, too
ENERGY_MODEL = "Pixel 8"
FAILED_JOB = "blocks on a Pixel 3"
STEADY_JOB = "warm.tflite without pause"


def fill(api: Api) -> None:
    """Registers devices, files jobs, measures most of them and publishes both tables."""
    networks = [SPACE.network([choice] * len(SPACE.blocks), f"net {choice}") for choice in range(4)]
    for index, model in enumerate(MODELS):
        target_id = farm.identity(model).id
        phones = [_register(api, f"HT7{index}{number}", model) for number in range(2)]
        for phone, factor in zip(phones, (1.0, 1.1), strict=True):
            request = farm.job(
                SPACE.operators(),
                rounds=_ROUNDS,
                name=f"space on {model}",
                target_id=target_id,
                networks=networks,
                precisions=("float32", "int8"),
                remeasure=True,
            )
            api.file(request)
            _measure(api, phone, factor * (1.0 + index))
        if model == ENERGY_MODEL:
            _count_energy(api, phones[0], target_id)
        api.call("POST", f"/v1/targets/{target_id}/snapshots", PublishRequest(), status=201)
    _what_needs_attention(api)
    _a_day(api)
    _a_model(api)
    device, _ = without_pause(api, "HTsteady", "Pixel 7", "warm.tflite")
    windows_so_far(api, api.claim(device), 12)
    _failed(api)
    _left_out(api)


def _register(api: Api, serial: str, model: str) -> str:
    registration = farm.registration(serial, model)
    able = {"labels": {"rack": "1"}, "methods": ("isolated", "energy")}
    return api.register(registration.model_copy(update=able)).id


def _measure(api: Api, device: str, factor: float) -> None:
    lease = api.claim(device)
    rng = np.random.default_rng(0)
    visits = []
    for round_ in range(_ROUNDS):
        for task in lease.tasks:
            spread = float(rng.uniform(1.0, 1.05))
            visits.append(
                farm.visit(
                    task,
                    lease,
                    device,
                    ms=factor * spread * _ms(lease, task.task_id),
                    round_=round_,
                ).model_copy(
                    update={"after": Conditions(cpu_celsius=40 + round_, battery_percent=80)}
                )
            )
    api.upload(VisitBatch(visits=tuple(visits)))
    api.release(lease)


def _count_energy(api: Api, device: str, target_id: str) -> None:
    """The phone counts what the space's operators take, each in six rounds of windows."""
    request = farm.job(
        SPACE.operators(), rounds=1, name="energy", target_id=target_id, energy={"windows": 6}
    )
    api.file(request)
    lease = api.claim(device)
    for task in lease.tasks:
        assert isinstance(task.subject, EnergySubject)
        assert isinstance(task.subject.subject, OperatorSubject)
        taken_mj = 2 * (0.05 + _size(task.subject.subject.operator))
        made, last = rounds(6, inference_mj=taken_mj)
        upload = EnergyUpload(lease_id=lease.id, meter=METER, rounds=made, last_idle=last)
        api.call("PUT", f"/v1/tasks/{task.task_id}/energy", upload, status=201)
    api.release(lease)


def _ms(lease: Lease, task_id: str) -> float:
    """Something that grows with the work."""
    (task,) = [task for task in lease.tasks if task.task_id == task_id]
    subject = task.subject
    if subject.kind == "operator":
        return 0.05 + _size(subject.operator)
    if subject.kind == "network":
        return 1.05 * sum(0.05 + _size(operator) for operator in subject.network.operators)
    raise AssertionError(subject.kind)


def _size(operator: Operator) -> float:
    int8 = 0.5 if operator.precision == "int8" else 1.0
    return int8 * 1e-3 * getattr(operator, "kernel", 1) * getattr(operator, "expand", 1)


def _what_needs_attention(api: Api) -> None:
    odd = farm.registration(f"odd {SCRIPT}").model_copy(update={"agent": f"rack {SCRIPT}"})
    device = api.register(odd).id
    api.call("POST", f"/v1/devices/{device}:quarantine", {"reason": f"smells {SCRIPT}"})
    waiting = api.file(farm.job(farm.blocks(3, channels=48), name=f"waits {SCRIPT}"))
    busy = api.register(farm.registration("HT7busy")).id
    lease = api.claim(busy)
    api.upload(farm.visits(lease, busy, rounds=1))
    assert api.job(waiting.id).state == "running"


def _a_day(api: Api) -> None:
    """A phone that has measured all day, its runs told one by one."""
    device = api.register(farm.registration(DAY_SERIAL, DAY_MODEL))
    target_id = device.target_ids[0]
    api.file(farm.job(farm.blocks(2), rounds=100, name="all day", target_id=target_id))
    lease = api.claim(device.id)
    rng = np.random.default_rng(0)
    begin = datetime.now(UTC) - timedelta(hours=20)
    visits = [_visit_of_day(lease, device.id, begin, number, rng) for number in range(80)]
    api.upload(VisitBatch(visits=tuple(visits)))


def _visit_of_day(
    lease: Lease, device: str, begin: datetime, number: int, rng: np.random.Generator
) -> Visit:
    runs_us = 900 * (1 + 0.03 * rng.random(300) + 0.3 * (rng.random(300) > 0.97))
    warm = 35 + 8 * float(np.sin(number / 12))
    battery = Conditions(battery_celsius=30 + number / 20, battery_percent=95 - number / 2)
    before = {"busy_share": 0.02 if number % 9 else 0.4}
    after = {"cpu_celsius": warm, "cpu_mhz": 2_400.0, "anchor_ratio": 1 + number / 2_000}
    made = farm.visit(lease.tasks[number % 2], lease, device, round_=number)
    return made.model_copy(
        update={
            "started_at": begin + timedelta(minutes=14 * number),
            "statistics": VisitStatistics.of(runs_us),
            "raw": json.dumps({"runs_ns": [int(1_000 * us) for us in runs_us]}),
            "before": battery.model_copy(update=before),
            "after": battery.model_copy(update=after),
            "rejected": "" if number % 9 else "others took 40% of the measured cores",
        }
    )


def _left_out(api: Api) -> None:
    """Two phones that disagree, and what was taken back of a third."""
    for serial, factor in (("HT40", 1.0), ("HT41", 1.6), ("HT42", 3.0)):
        device = api.register(farm.registration(serial, LEFT_OUT_MODEL))
        target_id = device.target_ids[0]
        job = farm.job(farm.blocks(3), name=f"blocks on {serial}", target_id=target_id)
        api.file(job.model_copy(update={"rounds": _ROUNDS, "remeasure": True}))
        _measure(api, device.id, factor)
    why = {"device_id": device.id, "reason": "it lay in the sun"}
    api.call("POST", "/v1/visits:retract", why)


def _a_model(api: Api) -> None:
    """An uploaded model whose layers were timed, on a phone that can do so."""
    registration = farm.registration("HTmodel", "Pixel 6")
    able = registration.model_copy(update={"methods": ("isolated", "in_network")})
    device = api.register(able)
    content = encode([farm.blocks(1)[0]])
    sha256 = hashlib.sha256(content).hexdigest()
    binary = {"Content-Type": "application/octet-stream"}
    api.call("PUT", f"/v1/models/{sha256}", content, status=201, headers=binary)
    request = farm.job(
        name="latency of mine.tflite",
        target_id=device.target_ids[0],
        models=({"sha256": sha256, "name": "mine.tflite"},),
        method="in_network",
    )
    api.file(request)
    lease = api.claim(device.id)
    profile = Profile(
        operators_us=(600.0, 100.0, 300.0),
        statistic="mean",
        count=10,
        kernels=("Convolution", "Add", "Convolution"),
    )
    raw = json.dumps({"delegation": "full", "load_ns": 4_100_000, "first_run_ns": 9_300_000})
    visits = farm.visits(lease, device.id, rounds=2).visits
    told = tuple(one.model_copy(update={"profile": profile, "raw": raw}) for one in visits)
    api.upload(VisitBatch(visits=told))


def _failed(api: Api) -> None:
    """A job of whose operators a phone could not run one, however often."""
    registration = farm.registration("HTfail", "Pixel 3")
    device = api.register(registration)
    api.file(
        farm.job(
            farm.blocks(3, channels=32),
            rounds=_ROUNDS,
            name=FAILED_JOB,
            target_id=device.target_ids[0],
        )
    )
    lease = api.claim(device.id)
    broken, *others = (task.task_id for task in lease.tasks)
    visits = farm.visits(lease, device.id, rounds=_ROUNDS).visits
    api.upload(VisitBatch(visits=tuple(one for one in visits if one.task_id in others)))
    reason = "benchmark_model was killed by signal 9 (out of memory?)"
    for attempt in range(MOST_FAILURES):
        if attempt:
            lease = api.claim(device.id)
        api.release(lease, [TaskOutcome(task_id=broken, state="failed", reason=reason)])


def without_pause(api: Api, serial: str, model: str, name: str) -> tuple[str, Job]:
    """A device that runs models without pause, and a job that asks it to, for three minutes."""
    registration = farm.registration(serial, model)
    able = registration.model_copy(update={"methods": ("isolated", "sustained")})
    device = api.register(able)
    content = encode([farm.blocks(2)[1]])
    sha256 = hashlib.sha256(content).hexdigest()
    binary = {**api.headers, "Content-Type": "application/octet-stream"}
    # Of those who ask for it, all but the first find it there.
    api.http.put(f"/v1/models/{sha256}", content=content, headers=binary).raise_for_status()
    request = farm.job(
        rounds=1,
        name=f"{name} without pause",
        target_id=device.target_ids[0],
        sustained={
            "subject": {"kind": "model", "sha256": sha256, "name": name},
            "minutes": 3.0,
        },
    )
    return device.id, api.file(request)


def windows_so_far(api: Api, lease: Lease, count: int, *, are_first: bool = True) -> None:
    """What has been run of the lease's only task, which begins to throttle after 80 s."""
    upload = WindowsUpload(
        lease_id=lease.id,
        windows=tuple(_window(number) for number in range(count)),
        is_partial=True,
    )
    address = f"/v1/tasks/{lease.tasks[0].task_id}/windows"
    api.call("PUT", address, upload, status=201 if are_first else 204)


def _window(number: int) -> Window:
    median_ms = 0.9 * (1.0 if number < 8 else 1.18)
    return Window(
        at_s=10.02 * number,
        runs=11_000 - 200 * number,
        p5_ms=0.98 * median_ms,
        median_ms=median_ms,
        p95_ms=1.06 * median_ms,
        cpu_mhz=2_400.0 if number < 8 else 2_016.0,
        cpu_celsius=38.0 + 2 * number,
        battery_celsius=28.0 + number / 4,
        thermal_status=0 if number < 8 else 1,
    )
