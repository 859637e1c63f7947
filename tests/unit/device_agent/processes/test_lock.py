from pathlib import Path

import pytest

from device_agent.errors import AgentAlreadyRuns
from device_agent.processes.lock import device_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with (
        device_lock(tmp_path, "host-a"),
        device_lock(tmp_path, "host-b"),
        pytest.raises(AgentAlreadyRuns, match=r"process \d+\) measures on host-a; stop it first"),
        device_lock(tmp_path, "host-a"),
    ):
        raise AssertionError("a second agent got the device")
    with device_lock(tmp_path, "host-a"):
        pass
