"""The predecessor of LiteRT, in a Python of its own: it needs an older numpy than the agent."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from device_agent.errors import DelegateRefused
from device_agent.host.identity import host_device, host_identity
from device_agent.runners.litert import LiteRtRunner
from netspec.protocol import MeasurementProtocol
from tests.integration.device_agent.models import block_file

_NEEDS = ("tflite-runtime==2.14.0", "numpy<2")
SHORT = MeasurementProtocol(warmup_ms=0, measure_ms=1, min_runs=5)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that holds tflite-runtime."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime has no wheels for Python 3.12 and later")
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    made = folder / "bin/python"
    # Our own pip: to give the other Python one takes longer than all that it has to install.
    pip = [sys.executable, "-m", "pip", "--python", str(made)]
    installed = subprocess.run(
        [*pip, "install", "-q", *_NEEDS], capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"tflite-runtime cannot be had here: {installed.stderr.strip()[-200:]}")
    return made


def test_its_version_and_library_are_another_target(python: Path) -> None:
    other = host_identity(SHORT, None, python=python)
    own = host_identity(SHORT, None)
    assert other.runtime == "tflite-runtime 2.14.0"
    assert other.runtime_sha256 != own.runtime_sha256
    assert other.id != own.id
    assert host_device(SHORT, python=python).identity.runtime == other.runtime


def test_it_measures_float32_and_int8_has_no_xnnpack(python: Path, tmp_path: Path) -> None:
    runner = LiteRtRunner(None, python=python)
    try:
        measured = runner.visit(block_file(tmp_path), SHORT)
        assert measured.statistics.count >= 5
        with pytest.raises(DelegateRefused, match="XNNPACK took nothing"):
            runner.visit(block_file(tmp_path, "int8"), SHORT)
    finally:
        runner.close()
