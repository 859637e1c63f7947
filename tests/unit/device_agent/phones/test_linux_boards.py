"""What boards say of themselves, and what it means."""

import pytest

from device_agent.benchmark_model.failures import start_failure
from device_agent.phones.systems.linux import read_description
from device_agent.phones.systems.linux_readings import read_heat, read_hindrance
from netspec.wire import Conditions

RASPBERRY_PI = """number=10000000a1b2c3d4
tree=Raspberry Pi 4 Model B Rev 1.4
compatible=raspberrypi,4-model-b brcm,bcm2711
vendor=
product=
cpu=
kernel=Linux 6.12.25+rpt-rpi-v8
machine=aarch64
bits=64
release=Debian GNU/Linux 12 (bookworm)
"""
X86 = """number=7d1b4826a05c9e7f
tree=
compatible=
vendor=AAEON
product=UP-APL03
cpu=Intel(R) Celeron(R) CPU N3350 @ 1.10GHz
kernel=Linux 6.1.0-31-amd64
machine=x86_64
bits=64
release=Debian GNU/Linux 12 (bookworm)
"""
COOLING = "/sys/class/thermal/cooling_device"
FIRMWARE = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def test_a_board_with_a_device_tree() -> None:
    board = read_description(RASPBERRY_PI)
    assert board.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.soc == "brcm,bcm2711"
    assert board.build == "Linux 6.12.25+rpt-rpi-v8 (Debian GNU/Linux 12 (bookworm))"
    assert board.abis == ("linux_aarch64",)
    assert board.number == "10000000a1b2c3d4"


def test_a_board_with_firmware_of_a_pc() -> None:
    board = read_description(X86)
    assert (board.model, board.soc) == ("AAEON UP-APL03", "Intel(R) Celeron(R) CPU N3350 @ 1.10GHz")
    assert board.abis == ("linux_x86_64",)


def test_a_kernel_of_64_bits_may_run_programs_of_32_alone() -> None:
    assert read_description(RASPBERRY_PI.replace("bits=64", "bits=32")).abis == ("linux_armv7l",)


def test_a_board_that_says_little_is_known_by_what_it_says() -> None:
    board = read_description("number=0000000000000000\nkernel=Linux 5.4\nmachine=armv6l\nbits=32\n")
    assert (board.model, board.soc, board.build) == ("unknown", "unknown", "Linux 5.4")
    assert board.abis == ("linux_armv6l",)
    assert board.number == ""
    assert read_description("").abis == ()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("", None),
        (f"{COOLING}*/type \n{COOLING}*/cur_state \n", None),
        (f"{COOLING}0/type cpufreq-cpu0\n{COOLING}0/cur_state 0\n", 0),
        (f"{COOLING}0/type thermal-cpufreq-0\n{COOLING}0/cur_state 2\n", 1),
        (f"{COOLING}0/type Processor\n{COOLING}0/cur_state 3\n", 1),
        # A fan that turns lowers no clock.
        (f"{COOLING}0/type pwm-fan\n{COOLING}0/cur_state 4\n", None),
        # Not acting, as Intel's driver says it.
        (f"{COOLING}0/type cpu-idle\n{COOLING}0/cur_state -1\n", 0),
        (f"{FIRMWARE} 0\n", 0),
        # It was throttled once, and is not now.
        (f"{FIRMWARE} 50000\n", 0),
        (f"{FIRMWARE} 80008\n", 1),
        (f"{COOLING}0/type cpufreq-cpu0\n{COOLING}0/cur_state 0\n{FIRMWARE} 0x4\n", 1),
    ],
)
def test_what_lowers_clocks_is_the_thermal_status(answer: str, status: int | None) -> None:
    assert read_heat(answer) == Conditions(thermal_status=status)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("MemAvailable 3788120 kB\n", ""),
        ("MemAvailable 92160 kB\n", "90 MiB of its memory are free, and visits would swap"),
        (f"{FIRMWARE} 50005\nMemAvailable 3788120 kB\n", "its voltage is too low"),
        (f"{FIRMWARE} 50000\nMemAvailable 3788120 kB\n", ""),
        ("", ""),
    ],
)
def test_what_keeps_a_board_from_being_measured(answer: str, says: str) -> None:
    hindrance = read_hindrance(answer)
    assert says in hindrance
    assert bool(hindrance) == bool(says)


def test_a_system_that_is_too_old_for_the_runner_is_said() -> None:
    said = (
        "./benchmark_model: /lib/aarch64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found "
        "(required by ./benchmark_model)\n"
    )
    cause = "it needs GLIBC_2.34, and this system's libraries are older; give one built for them"
    assert start_failure(said, 1) == f"{cause} with --runner"
