from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmark_model.standin import CannotBuild, build_benchmark_model
from tests.integration.device_agent.processes import Farm
from tests.phones.fixtures import (  # noqa: F401
    adbd_folder,
    adbd_phone,
    fake_phone,
    fake_phones,
)


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """A running server without jobs, renewals twice a second and no rest for tasks that failed."""
    made = Farm(
        tmp_path / "data", {"PROFILER_RENEW_EVERY_S": "0.5", "PROFILER_RETRY_BACKOFF_S": "0"}
    )
    made.start_server()
    yield made
    made.close()


@pytest.fixture(scope="session")
def benchmark_model() -> Path:
    """A program that really measures, built once; without a compiler the test is skipped."""
    try:
        return build_benchmark_model()
    except CannotBuild as error:
        pytest.skip(f"no stand-in for benchmark_model: {error}")
