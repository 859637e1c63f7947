"""Many fake phones that warm up and take energy, one agent, a real server."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from netspec.client import ProfilerClient
from netspec.networks import Network
from netspec.wire import EnergyRequest, JobRequest, NetworkSubject, SustainedRequest
from tests.integration.device_agent.models import block
from tests.integration.device_agent.phone_farm import LawfulPhone, add_lawful, make_known, options
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phones import FakePhones

_BLOCK = block(8)
_NETWORK = Network(name="two", operators=(_BLOCK, _BLOCK))
#: of a phone's energies, and of the speed that it loses
_EXACT = 0.02


def phones_served(count: int, rounds: int) -> int:
    """How many of so many phones had all of their jobs done by one agent, in one run.

    Each is asked for visits of an operator, its energy, and a minute of a network without pause, in
    which it begins to throttle; its energy and its speed are those of its laws.
    """
    with tempfile.TemporaryDirectory() as name, FakePhones() as phones:
        folder = Path(name)
        fakes = [add_lawful(phones, number) for number in range(count)]
        farm = Farm(folder / "data")
        try:
            farm.start_server()
            asked = [(fake, *_ask(farm, fake, folder, rounds)) for fake in fakes]
            farm.run_agent(*options(folder, *(fake.phone for fake in fakes)))
            with farm.client() as client:
                return sum(_served(client, *one) for one in asked)
        finally:
            farm.close()


def _ask(farm: Farm, fake: LawfulPhone, folder: Path, rounds: int) -> tuple[str, list[str]]:
    """The phone's target, and the ids of its jobs, of which the last runs without pause."""
    target_id = make_known(farm, fake.phone, folder)
    jobs = [
        JobRequest(name="visits", target_id=target_id, operators=(_BLOCK,), rounds=rounds),
        JobRequest(
            name="energy",
            rounds=1,
            target_id=target_id,
            operators=(_BLOCK,),
            energy=EnergyRequest(windows=6, seconds=2.0),
        ),
        JobRequest(
            name="without pause",
            rounds=1,
            target_id=target_id,
            sustained=SustainedRequest(subject=NetworkSubject(network=_NETWORK), minutes=1.0),
        ),
    ]
    return target_id, [farm.file(job).id for job in jobs]


def _served(client: ProfilerClient, fake: LawfulPhone, target_id: str, jobs: list[str]) -> bool:
    """Whether all is done, and says what the phone's laws do."""
    if any(client.job(job).state != "done" for job in jobs):
        return False
    (entry,) = client.energies(target_id)
    speed = client.sustained(jobs[-1]).speed
    return (
        math.isclose(entry.energy.value_mj, fake.energy.counted_mj, rel_tol=_EXACT)
        and speed is not None
        and math.isclose(speed.steady_ms, fake.curve.throttled_us / 1000, rel_tol=_EXACT)
        and speed.throttled_after_s is not None
    )
