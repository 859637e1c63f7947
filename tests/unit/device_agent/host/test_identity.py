import os
import re
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from device_agent.errors import NoSuchCore, RuntimeMissing
from device_agent.host import identity as host
from device_agent.runners.runtime import LITERT
from netspec.protocol import MeasurementProtocol

PROTOCOL = MeasurementProtocol()

X86 = """processor\t: 0
model name\t: Example  CPU @ 2.00GHz

processor\t: 1
model name\t: Example  CPU @ 2.00GHz
"""


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_firmware_names_the_machine_and_cpuinfo_the_soc(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", X86)
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "Example\n")
    write(tmp_path, "sys/class/dmi/id/product_name", "Box 3\n")
    identity = host.host_identity(PROTOCOL, 5, tmp_path)
    assert identity.device_model == "Example Box 3"
    assert identity.soc == "Example CPU @ 2.00GHz"
    assert identity.affinity == "20"
    assert identity.clock_policy == "free"
    assert (identity.delegate, identity.threads) == ("xnnpack", 1)
    assert identity.protocol == PROTOCOL.content_hash
    assert re.fullmatch(r"ai-edge-litert \d+\.\d+\.\d+.*", identity.runtime)


def test_placeholders_of_the_firmware_are_no_name(tmp_path: Path) -> None:
    write(tmp_path, "proc/cpuinfo", X86)
    write(tmp_path, "sys/class/dmi/id/product_name", "To be filled by O.E.M.\n")
    assert host.host_identity(PROTOCOL, 0, tmp_path).device_model == "Example CPU @ 2.00GHz"


def test_a_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    write(tmp_path, "proc/device-tree/model", "Example Pi 5\0")
    write(tmp_path, "proc/cpuinfo", "processor\t: 0\nHardware\t: EX2712\n")
    identity = host.host_identity(PROTOCOL, 0, tmp_path)
    assert (identity.device_model, identity.soc) == ("Example Pi 5", "EX2712")


def test_a_machine_that_describes_nothing_has_an_identity(tmp_path: Path) -> None:
    identity = host.host_identity(PROTOCOL, None, tmp_path)
    assert identity.device_model == identity.soc != ""
    assert identity.affinity == "none"


def test_the_identity_of_this_machine_repeats() -> None:
    assert host.host_identity(PROTOCOL, 0).id == host.host_identity(PROTOCOL, 0).id
    assert host.host_identity(PROTOCOL, 0).id != host.host_identity(PROTOCOL, 1).id


@pytest.mark.parametrize(
    ("files", "policy"),
    [
        ({}, "free"),
        ({"scaling_governor": "schedutil"}, "free"),
        ({"scaling_governor": "performance"}, "fixed_performance"),
        (
            {
                "scaling_governor": "performance",
                "scaling_min_freq": "800000",
                "scaling_max_freq": "2000000",
            },
            "fixed_performance",
        ),
        ({"scaling_min_freq": "2000000", "scaling_max_freq": "2000000"}, "locked"),
    ],
)
def test_clock_policy(tmp_path: Path, files: dict[str, str], policy: str) -> None:
    for name, text in files.items():
        write(tmp_path, f"sys/devices/system/cpu/cpu1/cpufreq/{name}", text + "\n")
    assert host.clock_policy(tmp_path, 1) == policy


def test_the_serial_can_name_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "lab 3/rack:2")
    assert host.serial() == "host-lab-3-rack-2"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins processes")
class TestCores:
    def test_the_last_core_by_default(self) -> None:
        assert host.choose_core(None) == max(os.sched_getaffinity(0))
        assert host.choose_core(min(os.sched_getaffinity(0))) == min(os.sched_getaffinity(0))

    def test_a_core_that_is_not_there(self) -> None:
        with pytest.raises(NoSuchCore, match=r"core 5000 is not one .* choose one of"):
            host.choose_core(5000)

    def test_the_agent_leaves_the_core_that_it_measures_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved: list[set[int]] = []
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
        monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: moved.append(set(cores)))
        host.leave_core(2)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2})
        host.leave_core(2)
        assert moved == [{0, 1}]


def test_where_the_system_cannot_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert host.choose_core(None) is None
    with pytest.raises(NoSuchCore, match="leave --core out"):
        host.choose_core(0)
    host.leave_core(None)


def test_a_missing_runtime_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LITERT", replace(LITERT, libraries=("no-such-library",)))
    with pytest.raises(RuntimeMissing, match="pip install ai-edge-litert"):
        host.host_identity(PROTOCOL, 0)


def test_a_python_without_runtime_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing, match="cannot be asked for its runtime"):
        host.runtime_of(tmp_path / "python")
    venv.create(tmp_path / "bare", symlinks=True)
    with pytest.raises(RuntimeMissing, match="neither ai-edge-litert nor tflite-runtime"):
        host.runtime_of(tmp_path / "bare/bin/python")


def test_another_pythons_runtime_is_the_one_measured_with() -> None:
    assert host.runtime_of(Path(sys.executable)) == host.runtime_of(None)
