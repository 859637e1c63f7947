"""What is the phone's fault, or the runner's, is told in words and charged to no task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from device_agent.benchmark_model.elf import load_alignment
from device_agent.errors import (
    CoresUnclear,
    PhoneUnusable,
    RunnerRefused,
    SpoolUnusable,
    TransportLost,
    WrongTarget,
)
from device_agent.measuring.visit_label import keep_leftovers
from device_agent.phones import stretch
from device_agent.phones.phone import Phone
from device_agent.phones.probe import Choice
from tests.integration.device_agent.fake_runner import PROGRAM
from tests.integration.device_agent.phone_bench import NO_ANCHOR, phone_bench
from tests.phones.agent_files import STRETCHES
from tests.phones.elf import elf, pages_of_16_kb
from tests.phones.fake_phone import FakePhone
from tests.phones.fake_phones import FakePhones
from tests.phones.layouts import A53, PHONES, Cluster, Layout
from tests.phones.state import PhoneState

ALIGNMENT = (
    'CANNOT LINK EXECUTABLE "/data/local/tmp/benchmark_model": "/data/local/tmp/benchmark_model" '
    "program alignment (4096) cannot be smaller than system page size (16384)"
)
CAUSES = [
    (ALIGNMENT, 1, "aligned to pages of 4 KB and this device has pages of 16 KB"),
    (
        'CANNOT LINK EXECUTABLE "benchmark_model": library "libfoo.so" not found: needed by main',
        1,
        "needs the library libfoo.so",
    ),
    ("taskset: failed to set 4711's affinity: Invalid argument", 1, "cannot be pinned"),
    ("sh: /data/local/tmp/benchmark_model: not executable: 64-bit ELF file", 126, "cannot execute"),
    ("Illegal instruction", 132, "instructions that this device's CPU lacks"),
]


def with_layout(phones: FakePhones, layout: Layout) -> FakePhone:
    """A phone with these cores and no others."""
    none: dict[str, str | None] = dict.fromkeys(PhoneState().files())
    wanted: dict[str, str | None] = dict(layout.files())
    clocks = {
        path.replace("cpuinfo_max_freq", name): text
        for path, text in wanted.items()
        if text and path.endswith("cpuinfo_max_freq")
        for name in ("scaling_max_freq", "scaling_cur_freq")
    }
    thermal = {
        path: text.strip() for path, text in PhoneState().files().items() if "thermal" in path
    }
    return phones.add(PhoneState(more_files=none | thermal | clocks | wanted))


@pytest.mark.parametrize(
    ("name", "threads", "wanted"),
    [
        ("Helio P60", 1, "f0"),
        ("Snapdragon 888", 4, "f0"),
        ("Snapdragon 888", 2, "f0"),
        ("Snapdragon 8 Gen 2", 2, "98"),
        ("Tensor G3", 1, "100"),
    ],
)
def test_a_phone_is_measured_on_its_fastest_cores(
    fake_phones: FakePhones, tmp_path: Path, name: str, threads: int, wanted: str
) -> None:
    phone = with_layout(fake_phones, PHONES[name][0])
    with phone_bench(phone, tmp_path, choice=Choice(PROGRAM, threads=threads)) as bench:
        assert bench.agent.bench.device.identity.affinity == wanted


def test_big_cores_that_are_offline_are_waited_for_unless_others_are_named(
    fake_phones: FakePhones, tmp_path: Path
) -> None:
    layout = Layout([Cluster(4, 1_440_000, A53), Cluster(2, 1_824_000, online=False)], False)
    phone = with_layout(fake_phones, layout)
    with pytest.raises(CoresUnclear, match="cores 4-5 are offline"), phone_bench(phone, tmp_path):
        pass
    with phone_bench(phone, tmp_path, choice=Choice(PROGRAM, cores="0-3")) as bench:
        assert bench.agent.bench.device.identity.affinity == "f"


@pytest.mark.parametrize(("says", "code", "cause"), CAUSES)
def test_a_runner_that_cannot_start_is_found_before_any_task_meets_it(
    fake_phone: FakePhone, tmp_path: Path, says: str, code: int, cause: str
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.runner.says, bench.runner.exit_code = says, code
        with pytest.raises(PhoneUnusable, match=cause):
            bench.agent.bench.device.try_runner()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"says": "Segmentation fault", "exit_code": 139}, "crashed with SIGSEGV"),
        ({"ignores": "--use_xnnpack=true"}, "ignored the flag"),
        ({"delegated": False}, "xnnpack does not work here: XNNPACK took nothing"),
        ({"percentiles": False}, "too old to print percentiles"),
        ({"says": "INFO: STARTING!"}, "ended before it measured anything"),
    ],
)
def test_a_runner_that_starts_and_is_of_no_use_is_found_too(
    fake_phone: FakePhone, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        for name, value in change.items():
            setattr(bench.runner, name, value)
        with pytest.raises(PhoneUnusable, match=says):
            bench.agent.bench.device.try_runner()


@pytest.mark.parametrize(("says", "code", "cause"), CAUSES)
def test_a_runner_that_stops_starting_blames_no_task_and_keeps_what_was_measured(
    fake_phone: FakePhone, tmp_path: Path, says: str, code: int, cause: str
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:

        def fail(number: int) -> None:
            bench.runner.says = says if number in {4, 5} else ""
            bench.runner.exit_code = code if number in {4, 5} else 0

        bench.runner.before.append(fail)
        bench.lease({"a": 8})
        with capture_logs() as said:
            bench.run()
        assert bench.peer.outcomes() == {"a": "unfinished"}
        assert len(bench.peer.visits) == 6
        assert any(cause in str(line.get("why")) for line in said)


def test_a_runner_for_smaller_pages_is_named_before_it_is_pushed(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    fake_phone.programs["getconf"] = pages_of_16_kb
    small = replace(PROGRAM, content=elf(4096) + PROGRAM.content)
    with (
        pytest.raises(RunnerRefused, match="aligned to pages of 4 KB"),
        phone_bench(fake_phone, tmp_path, choice=Choice(small)),
    ):
        pass
    assert not any(call[:1] == ["mv"] for call in fake_phone.calls)
    library = replace(PROGRAM, libraries={"libgpu.so": elf(4096)})
    with (
        pytest.raises(RunnerRefused, match=r"libgpu.so is of no use: it is aligned to pages of 4"),
        phone_bench(fake_phone, tmp_path, choice=Choice(library)),
    ):
        pass
    large = replace(PROGRAM, content=elf(16384) + PROGRAM.content)
    with phone_bench(fake_phone, tmp_path, choice=Choice(large)):
        pass
    assert (load_alignment(small.content), load_alignment(PROGRAM.content)) == (4096, None)


def results_on(phone: FakePhone) -> list[str]:
    return phone.files.names(str(STRETCHES))


def next_agent(phone: FakePhone, folder: Path) -> int:
    """How many visits an agent that starts now takes from the phone."""
    with phone_bench(phone, folder) as bench:
        return keep_leftovers(bench.agent.bench.device, bench.spool, NO_ANCHOR)


def test_a_full_disk_of_the_agent_leaves_the_visits_on_the_phone(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        append = bench.spool.append
        appended: list[object] = []

        def full(*args: object, **options: object) -> None:
            if len(appended) == 2:
                raise SpoolUnusable("database or disk is full")
            appended.append(args)
            append(*args, **options)  # type: ignore[arg-type]

        bench.spool.append = full  # type: ignore[method-assign]
        bench.lease({"a": 5})
        with pytest.raises(SpoolUnusable):
            bench.run()
        assert len(results_on(fake_phone)) == 1
        assert len(bench.peer.visits) <= 2
    assert next_agent(fake_phone, tmp_path) == 3
    assert results_on(fake_phone) == []


def test_nothing_is_removed_before_it_would_survive_a_power_cut(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        seen: list[tuple[int, int]] = []
        sync = bench.spool.sync

        def synced() -> None:
            seen.append(
                (len(results_on(fake_phone)), bench.spool.waiting() + len(bench.peer.visits))
            )
            sync()

        bench.spool.sync = synced  # type: ignore[method-assign]
        bench.lease({"a": 5})
        bench.run()
        assert seen == [(1, 5)]
        assert results_on(fake_phone) == []


def test_a_phone_lost_in_the_removal_loses_no_visit_and_counts_none_twice(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        device = bench.agent.bench.device
        assert isinstance(device, Phone)
        remove = device._scripts.remove

        def lost(folder: str) -> None:
            raise TransportLost(f"gone, and {folder} with it")

        device._scripts.remove = lost  # type: ignore[method-assign]
        bench.lease({"a": 5})
        bench.stop.wait = lambda seconds: setattr(  # type: ignore[method-assign]
            device._scripts, "remove", remove if seconds else lost
        )
        bench.run()
        assert len({visit.id for visit in bench.peer.visits}) == len(bench.peer.visits) == 5
        assert results_on(fake_phone) == []


def test_an_agent_killed_between_spool_and_removal_counts_no_visit_twice(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def killed(make_safe: Callable[[], None]) -> None:
        raise Killed(make_safe)

    with phone_bench(fake_phone, tmp_path) as bench:
        bench.agent.bench.device.discard_results = killed  # type: ignore[method-assign]
        bench.lease({"a": 5})
        with pytest.raises(Killed):
            bench.run()
        first = {visit.id for visit in [*bench.peer.visits, *bench.spool.oldest(10)]}
        assert len(first) == 5
    with phone_bench(fake_phone, tmp_path) as bench:
        assert keep_leftovers(bench.agent.bench.device, bench.spool, NO_ANCHOR) == 0
        assert {visit.id for visit in bench.spool.oldest(10)} <= first
        assert results_on(fake_phone) == []


def test_a_long_script_says_how_far_it_is(
    fake_phone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretch, "TELL_EVERY_S", 0.0)
    with phone_bench(fake_phone, tmp_path) as bench:
        bench.lease({"a": 5})
        with capture_logs() as said:
            bench.run()
    lines = [line for line in said if line["event"] == "measuring"]
    assert lines
    assert all(line["of"] == 5 for line in lines)


def test_a_phone_that_comes_back_as_another_target_is_told_by_what_changed(
    fake_phone: FakePhone, tmp_path: Path
) -> None:
    with phone_bench(fake_phone, tmp_path) as bench:
        fake_phone.state.clusters = (((0, 1, 2, 3), 1_800_000), ((4, 5, 6, 7), 2_400_000))
        with pytest.raises(WrongTarget, match=r"another target \(affinity 80 -> f0\)"):
            bench.agent.bench.device.wake()
