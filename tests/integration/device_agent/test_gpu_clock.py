"""Where a GPU runs the models its clock is locked, told and looked after as the cores' is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_agent.errors import DeviceNotReady
from device_agent.phones.probe import Choice
from device_agent.phones.settings.gpu_clock import find_gpu
from netspec.protocol import TargetIdentity
from netspec.wire import Visit
from tests.boards.sysfs import shell_of
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import PhoneBench, phone_bench
from tests.integration.device_agent.test_clock_and_delegates import GPU_WORDS
from tests.phones.agent_files import GPU_JOURNAL
from tests.phones.fake_phone import FakePhone
from tests.phones.gpu import FAST, KGSL, FakeGpu

GPU = Choice(PROGRAM, "gpu")


@contextmanager
def gpu_bench(phone: FakePhone, folder: Path, choice: Choice = GPU) -> Iterator[PhoneBench]:
    """A phone whose runner says that its GPU ran the graph."""
    with phone_bench(phone, folder, choice=choice) as bench:
        if choice.delegate == "gpu":
            _, _, words = bench.runner._words().partition("delegate.\n")
            bench.runner.says = GPU_WORDS.format(api="OpenCL") + words
        yield bench


def visited(bench: PhoneBench, gpu: FakeGpu, *passed: dict[str, int]) -> list[Visit]:
    """So many visits, in which the GPU had clocks for so many ms."""
    bench.runner.before.append(lambda number: gpu.passes(**passed[min(number, len(passed)) - 1]))
    bench.lease({"a": len(passed)})
    bench.run()
    assert bench.peer.outcomes() == {"a": "done"}
    return bench.peer.visits[: len(passed)]


def identity(phone: FakePhone, folder: Path, choice: Choice = GPU) -> TargetIdentity:
    with gpu_bench(phone, folder, choice) as bench:
        return bench.agent.bench.device.identity


@pytest.fixture
def gpu(fake_phone: FakePhone) -> FakeGpu:
    made = FakeGpu(fake_phone)
    made.install()
    return made


def test_a_rooted_phones_gpu_is_locked_for_a_batch_and_part_of_the_target(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu
) -> None:
    fake_phone.state.root = True
    lowest = f"{KGSL}/min_freq"
    before = fake_phone.state.files()[lowest]
    with gpu_bench(fake_phone, tmp_path) as bench:
        device = bench.agent.bench.device
        assert device.identity.locked_gpu_khz == 850_000
        assert fake_phone.state.files()[lowest] == before
        device.prepare([])
        assert fake_phone.state.files()[lowest] == f"{FAST}\n"
        assert "gpu clock locked 850 MHz" in device.observe().steps
        device.rest()
        assert fake_phone.state.files()[lowest] == before
    gpu.limit(max="443000000")
    slower = identity(fake_phone, tmp_path)
    assert (slower.locked_gpu_khz, slower.locked_khz) == (443_000, (2_840_000,))
    # Where the cores run the models, the GPU is nothing to the target, and is left alone.
    on_cores = identity(fake_phone, tmp_path, Choice(PROGRAM))
    assert "locked_gpu_khz" not in on_cores.model_dump(mode="json")


class _Stubborn(dict[str, str | None]):
    """A driver takes what is written to its GPU's files, and goes on as before."""

    def __setitem__(self, path: str, text: str | None) -> None:
        if not path.startswith(KGSL):
            super().__setitem__(path, text)


@pytest.mark.usefixtures("gpu")
def test_a_phone_that_does_not_lock_its_gpu_keeps_its_cores_locked(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.state.root = True
    fake_phone.state.more_files = _Stubborn()
    found = identity(fake_phone, tmp_path)
    assert (found.clock_policy, found.locked_khz) == ("locked", (2_840_000,))
    assert found.locked_gpu_khz is None


def test_a_locked_gpu_that_had_another_clock_within_a_visit_is_noticed(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu
) -> None:
    fake_phone.state.root = True
    steady = {"fast": 150}
    with gpu_bench(fake_phone, tmp_path) as bench:
        visits = visited(
            bench, gpu, steady, {"fast": 100, "middle": 40, "slow": 10}, {"fast": 140, "slow": 10}
        )
        found = [visit.rejected for visit in visits]
    assert [bool(why) for why in found] == [False, True, False]
    assert found[1] == (
        "the GPU had another clock than its locked 850 MHz for 33% of this visit, mostly 443 MHz"
    )


@pytest.mark.parametrize(
    ("root", "which", "is_noticed"),
    [(True, "min", True), (True, "max", True), (False, "max", True), (False, "min", False)],
)
def test_visits_under_other_limits_of_the_gpu_are_rejected(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu, root: bool, which: str, is_noticed: bool
) -> None:
    fake_phone.state.root = root
    with gpu_bench(fake_phone, tmp_path) as bench:

        def change(number: int) -> None:
            wanted = "850000000" if root or which == "max" else "180000000"
            gpu.limit(**{which: "443000000" if number == 3 else wanted})

        bench.runner.before.append(change)
        bench.lease({"a": 6})
        bench.run()
        rejected = [one.rejected for one in bench.peer.visits if one.rejected]
        assert bench.peer.outcomes() == {"a": "done"}
    assert len(rejected) == (2 if is_noticed else 0)
    says = f"the {which}imum clock of the GPU was 443 MHz around this visit, and 850 MHz"
    assert all(says in why for why in rejected)


def test_a_free_gpus_clock_is_recorded_as_its_mean_over_the_visit(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu
) -> None:
    fake_phone.state.sdk = 29
    with gpu_bench(fake_phone, tmp_path) as bench:
        device = bench.agent.bench.device
        assert (device.identity.clock_policy, device.identity.locked_gpu_khz) == ("free", None)
        (visit,) = visited(bench, gpu, {"fast": 150, "slow": 50})
    assert visit.rejected == ""
    assert visit.before.gpu_mhz == 850.0
    assert visit.after.gpu_mhz == pytest.approx((150 * 850 + 50 * 180) / 200)
    assert "gpu clock free" in visit.before.steps


def test_a_gpu_whose_clock_cannot_be_read_is_told_with_every_visit(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with capture_logs() as said, gpu_bench(fake_phone, tmp_path) as bench:
        (visit,) = visited(bench, FakeGpu(fake_phone), {"fast": 1})
    assert "gpu clock not readable" in visit.before.steps
    assert visit.before.gpu_mhz is None
    assert [one for one in said if one["event"] == "the clock of the GPU cannot be read"]


def test_cores_that_run_the_models_are_told_nothing_of_the_gpu(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu
) -> None:
    fake_phone.state.root = True
    with gpu_bench(fake_phone, tmp_path, Choice(PROGRAM)) as bench:
        (visit,) = visited(bench, gpu, {"slow": 500})
    assert visit.rejected == ""
    assert not any("gpu" in step for step in visit.before.steps)
    assert {"gpu_mhz"} & (
        visit.before.model_dump().keys() | visit.after.model_dump().keys()
    ) == set()


@pytest.mark.usefixtures("gpu")
def test_a_gpu_left_locked_is_given_back_whatever_runs_models_next(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.state.root = True
    with gpu_bench(fake_phone, tmp_path) as bench:
        bench.agent.bench.device.prepare([])
        # The connection ends with the process, and nothing is given back.
    assert fake_phone.state.files()[f"{KGSL}/min_freq"] == f"{FAST}\n"
    with gpu_bench(fake_phone, tmp_path, Choice(PROGRAM)):
        assert fake_phone.state.files()[f"{KGSL}/min_freq"] == "180000000\n"
        assert fake_phone.files.find(str(GPU_JOURNAL)) is None


def test_another_locked_clock_of_the_gpu_than_the_registered_one_blames_no_task(
    fake_phone: FakePhone, tmp_path: Path, gpu: FakeGpu
) -> None:
    fake_phone.state.root = True
    with gpu_bench(fake_phone, tmp_path) as bench:
        gpu.limit(max="443000000")
        said = "locked 2840 MHz GPU 443 MHz now, but locked 2840 MHz GPU 850 MHz"
        with pytest.raises(DeviceNotReady, match=said):
            bench.agent.bench.device.prepare([])


DEVFREQ = "/sys/class/devfreq"
BUSES = tuple(
    f"{DEVFREQ}/{name}/cur_freq" for name in ("soc:qcom,gpubw", "soc:qcom,kgsl-busmon", "154.vic")
)


@pytest.mark.parametrize(
    ("files", "now", "limits", "table"),
    [
        ({f"{KGSL}/cur_freq": "585000000"}, KGSL, "", ""),
        ({"/sys/class/kgsl/kgsl-3d0/gpuclk": "585000000"}, "/sys/class/kgsl/kgsl-3d0", "", ""),
        *(
            (
                {
                    f"{folder}/cur_freq": "585000000",
                    f"{folder}/min_freq": "100000000",
                    f"{folder}/max_freq": "900000000",
                    f"{folder}/trans_stat": "* 585000000:  0  3  1200",
                },
                folder,
                "min_freq",
                "trans_stat",
            )
            for folder in (
                KGSL,
                *(
                    f"{DEVFREQ}/{name}"
                    for name in (
                        *("3d00000.qcom,kgsl-3d0", "13000000.mali", "fb000000.gpu", "gpu"),
                        *("17000000.gpu", "17000000.ga10b", "17000000.gv11b", "17000000.gp10b"),
                    )
                ),
            )
        ),
        (
            {
                "/sys/devices/platform/1c500000.mali/cur_freq": "585000",
                "/sys/devices/platform/1c500000.mali/scaling_min_freq": "151000",
                "/sys/devices/platform/1c500000.mali/scaling_max_freq": "848000",
                "/sys/devices/platform/1c500000.mali/time_in_state": "848000 12\n585000 4",
            },
            "/sys/devices/platform/1c500000.mali",
            "scaling_min_freq",
            "time_in_state",
        ),
    ],
)
def test_gpus_are_found_where_drivers_tell_of_them_and_memory_buses_are_none(
    tmp_path: Path, files: dict[str, str], now: str, limits: str, table: str
) -> None:
    found = find_gpu(shell_of(tmp_path, files | dict.fromkeys(BUSES, "762000000")))
    assert found is not None
    assert found.now.rpartition("/")[0] == now
    assert found.clock_khz({found.now: files[found.now]}, found.now) == 585_000
    assert found.lowest == (f"{now}/{limits}" if limits else "")
    assert bool(found.highest) == bool(limits)
    assert found.table == (f"{now}/{table}" if table else "")


def test_no_gpu_is_found_among_memory_buses(tmp_path: Path) -> None:
    assert find_gpu(shell_of(tmp_path, dict.fromkeys(BUSES, "762000000"))) is None


def test_a_gpu_that_is_switched_off_tells_no_clock(tmp_path: Path) -> None:
    assert find_gpu(shell_of(tmp_path, {f"{KGSL}/cur_freq": "0"})) is None
