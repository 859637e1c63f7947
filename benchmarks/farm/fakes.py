"""Many fake phones, one agent, a real server."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.integration.device_agent.phone_farm import add, ask, options
from tests.integration.device_agent.processes import Farm
from tests.phones.fake_phones import FakePhones


def phones_served(count: int, rounds: int) -> int:
    """How many of so many phones had their job done by one agent, in one run."""
    with tempfile.TemporaryDirectory() as name, FakePhones() as phones:
        folder = Path(name)
        fakes = [add(phones, number) for number in range(count)]
        farm = Farm(folder / "data")
        try:
            farm.start_server()
            jobs = [ask(farm, fake, folder, rounds) for fake in fakes]
            farm.run_agent(*options(folder, *fakes))
            return sum(farm.job(job).state == "done" for job in jobs)
        finally:
            farm.close()
