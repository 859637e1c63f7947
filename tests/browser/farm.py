"""A farm worth looking at: two targets, phones that disagree, networks, names full of markup."""

from __future__ import annotations

import numpy as np

from netspec.operators import Operator
from netspec.spaces import Space, Stage
from netspec.wire import Conditions, Lease, PublishRequest, VisitBatch
from tests.integration.profiler_server import farm
from tests.integration.profiler_server.service import Api

SCRIPT = "<script>alert('x')</script>"
MODELS = ("Pixel 1", "Pixel 8")
SPACE = Space(
    input_size=32,
    width=0.5,
    classes=10,
    stages=(Stage(channels=24, depth=2, stride=2), Stage(channels=40, depth=2, stride=2)),
)
_ROUNDS = 3


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
        api.call("POST", f"/v1/targets/{target_id}/snapshots", PublishRequest(), status=201)
    _what_needs_attention(api)


def _register(api: Api, serial: str, model: str) -> str:
    registration = farm.registration(serial, model)
    return api.register(registration.model_copy(update={"labels": {"rack": "1"}})).id


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
