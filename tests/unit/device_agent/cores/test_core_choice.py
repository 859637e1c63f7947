"""Which cores are measured on, over the layouts that Linux can state."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from device_agent.cores.choice import choose_cores, core_kinds, named_cores
from device_agent.cores.layout import Core, parse_layout
from device_agent.cores.numbers import core_list, mask, parse_core_list
from device_agent.errors import CoresUnclear, NoSuchCore
from tests.phones.layouts import A53, A73, A76, A715, PHONES, Cluster, Layout

NEWER_THAN_THE_TABLE = (0x41, 0xDFF)


def cores_of(layout: Layout, without: str = "") -> tuple[Core, ...]:
    files = {
        path: text for path, text in layout.files().items() if not without or without not in path
    }
    return parse_layout(files, files.get("/proc/cpuinfo", ""), files.get("/proc/self/status", ""))


@pytest.mark.parametrize("name", PHONES)
def test_named_phones(name: str) -> None:
    layout, wanted = PHONES[name]
    cores = cores_of(layout)
    assert tuple(mask(choose_cores(cores, threads).cores) for threads in (1, 2, 4)) == wanted
    if wanted[0] != "none":
        choice = choose_cores(cores, 1)
        assert choice.fastest in choice.cores


def test_big_cores_that_are_unplugged_when_idle_are_not_replaced_by_little_ones() -> None:
    silent = Layout(
        [Cluster(4, 1_440_000, A53), Cluster(2, 1_824_000, online=False)], names_parts=False
    )
    with pytest.raises(CoresUnclear, match=r"cores 4-5 are offline and state nothing .* --cores"):
        choose_cores(cores_of(silent), 1)
    known = Layout([Cluster(4, 1_440_000, A53, 500), Cluster(2, None, None, 1024, online=False)])
    with pytest.raises(CoresUnclear, match=r"4-5 \(capacity 1024\), not enough are online"):
        choose_cores(cores_of(known), 1)
    shrunken = replace(silent, allowed="0-3")
    with pytest.raises(CoresUnclear, match="cores 4-5 are offline"):
        choose_cores(cores_of(shrunken), 1)
    # Whoever wants the little ones says so.
    assert mask(named_cores(cores_of(silent), "0-3", 1).cores) == "f"


def test_little_cores_may_be_offline() -> None:
    layout = Layout([Cluster(4, None, None, 500, online=False), Cluster(4, 2_400_000, A76, 1024)])
    assert mask(choose_cores(cores_of(layout), 1).cores) == "f0"
    with pytest.raises(CoresUnclear, match="not enough are online for 5 threads"):
        choose_cores(cores_of(layout), 5)


def test_some_cores_of_a_kind_may_be_offline_as_long_as_there_are_enough() -> None:
    layout = Layout([Cluster(4, 1_400_000, A53), Cluster(4, 1_900_000, A73)])
    cores = tuple(replace(core, online=core.number not in {5, 6}) for core in cores_of(layout))
    assert mask(choose_cores(cores, 2).cores) == "f0"
    with pytest.raises(CoresUnclear):
        choose_cores(cores, 3)


def test_offline_cores_are_known_by_their_clock_domain() -> None:
    files = Layout([Cluster(4, 1_400_000, A53), Cluster(4, 1_900_000, A73)]).files()
    for core in (6, 7):
        files = {path: text for path, text in files.items() if f"/cpu{core}/" not in path}
    files["/sys/devices/system/cpu/online"] = "0-5"
    cpuinfo = files["/proc/cpuinfo"].partition("processor\t: 6")[0]
    cores = parse_layout(files, cpuinfo, "")
    assert [core.part for core in cores[4:]] == [A73] * 4
    assert mask(choose_cores(cores, 1).cores) == "f0"


def test_equal_clocks_do_not_make_an_unknown_core_one_of_the_others() -> None:
    cores = tuple(
        Core(number, online=number < 4, max_khz=1_989_000, part=A53 if number < 4 else None)
        for number in range(8)
    )
    with pytest.raises(CoresUnclear, match="nothing tells which cores are faster"):
        choose_cores(cores, 1)


def test_parts_newer_than_the_table_are_ordered_by_what_is_stated_or_refused() -> None:
    clusters = [Cluster(4, 2_000_000, A76), Cluster(4, 2_000_000, NEWER_THAN_THE_TABLE)]
    with pytest.raises(CoresUnclear, match=r"4-7 \(part 0x41/0xdff, 2 GHz\)"):
        choose_cores(cores_of(Layout(clusters)), 1)
    assert mask(choose_cores(cores_of(Layout(clusters)), 8).cores) == "ff"
    faster = [clusters[0], replace(clusters[1], khz=2_500_000)]
    assert mask(choose_cores(cores_of(Layout(faster)), 1).cores) == "f0"
    stated = [replace(clusters[0], capacity=1024), replace(clusters[1], capacity=300)]
    assert mask(choose_cores(cores_of(Layout(stated)), 1).cores) == "f"


def test_cores_that_the_cpuset_withholds_are_named() -> None:
    layout = replace(PHONES["Snapdragon 888"][0], allowed="0-6")
    choice = choose_cores(cores_of(layout), 1)
    assert (mask(choice.cores), choice.withheld) == ("70", (7,))
    with pytest.raises(NoSuchCore, match="cpuset keeps programs off core 7"):
        named_cores(cores_of(layout), "6-7", 1)
    assert choose_cores(cores_of(PHONES["Snapdragon 888"][0]), 1).withheld == ()


@pytest.mark.parametrize("without", ["cpufreq", "cpu_capacity", "topology", "/proc/", "online"])
def test_a_missing_file_never_makes_little_cores_the_fastest(without: str) -> None:
    for name, (layout, wanted) in PHONES.items():
        try:
            found = mask(choose_cores(cores_of(layout, without), 1).cores)
        except CoresUnclear:
            continue
        # Nothing but their parts tells these from the others.
        if found == "none" or (without == "/proc/" and layout.clusters[0].khz == 2_300_000):
            continue
        best, cores = int(wanted[0], 16), int(found, 16)
        # Kinds that nothing tells apart any more are taken together.
        assert cores & best, name


def test_half_a_cpufreq_is_refused() -> None:
    files = Layout([Cluster(4, 1_400_000), Cluster(4, 1_900_000)]).files()
    files = {path: text for path, text in files.items() if not any(
        f"cpu{core}/cpufreq" in path for core in range(4, 8))}  # fmt: skip
    with pytest.raises(CoresUnclear, match="cores 4-7 state nothing of themselves"):
        choose_cores(parse_layout(files, "", ""), 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [("8", "has no core 8; it has 0-7"), ("4", "names 1 cores for 2 threads")],
)
def test_named_cores_that_cannot_be_used_are_refused(text: str, says: str) -> None:
    with pytest.raises(NoSuchCore, match=says):
        named_cores(cores_of(PHONES["Snapdragon 888"][0]), text, 2)


def test_named_cores_are_taken_as_they_are() -> None:
    choice = named_cores(cores_of(PHONES["Snapdragon 888"][0]), "0,4-5", 2)
    assert (choice.cores, choice.fastest) == ((0, 4, 5), 4)
    nothing_known = named_cores(cores_of(PHONES["an emulator"][0]), "2,3", 1)
    assert (nothing_known.cores, nothing_known.fastest) == ((2, 3), 2)


def test_a_shared_part_in_cpuinfo_is_nobodys() -> None:
    text = "processor\t: 0\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n"
    assert [core.part for core in parse_layout({}, text, "")] == [None, None]
    alone = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n"
    assert [core.part for core in parse_layout({}, alone, "")] == [A53]


def test_cores_that_are_possible_but_not_there_are_none() -> None:
    files = Layout([Cluster(4, 1_400_000, A53)]).files()
    files["/sys/devices/system/cpu/possible"] = "0-7"
    assert len(parse_layout(files, files["/proc/cpuinfo"], "")) == 4


CLUSTERS = st.lists(
    st.builds(
        Cluster,
        count=st.integers(1, 6),
        khz=st.none() | st.sampled_from([1_400_000, 1_989_000, 2_800_000]),
        part=st.sampled_from([None, A53, A73, A76, A715, NEWER_THAN_THE_TABLE]),
        capacity=st.none() | st.sampled_from([250, 800, 1024]),
        online=st.booleans(),
        siblings=st.sampled_from([1, 1, 2]),
    ),
    min_size=1,
    max_size=4,
)
LAYOUTS = st.builds(Layout, clusters=CLUSTERS, names_parts=st.booleans(), has_midr=st.booleans())


@settings(max_examples=150, deadline=None)
@given(LAYOUTS, st.integers(1, 8))
def test_whatever_is_stated_the_choice_is_whole_kinds_none_of_the_rest_faster(
    layout: Layout, threads: int
) -> None:
    assume(any(cluster.online for cluster in layout.clusters))
    cores = cores_of(layout)
    try:
        choice = choose_cores(cores, threads)
    except CoresUnclear:
        return
    if not choice.cores:
        return
    chosen = [core for core in cores if core.number in choice.cores]
    rest = [core for core in cores if core.number not in choice.cores]
    assert sum(core.online for core in chosen) >= threads
    kinds = core_kinds(cores)
    taken = [kind for kind in kinds if kind.numbers & set(choice.cores)]
    for kind in taken:
        left = kind.numbers - set(choice.cores)
        # Only further threads of physical cores are left out.
        assert threads > 1 or not left
        by_number = {core.number: core for core in cores}
        assert all(by_number[number].siblings & set(choice.cores) for number in left)
    if all(core.capacity is not None for core in cores):
        others = [core.capacity or 0 for core in rest if not core.siblings & set(choice.cores)]
        assert max(others, default=0) <= min(core.capacity or 0 for core in chosen)
    # Fewer threads take no core that more threads leave out.
    if threads > 2:
        with suppress(CoresUnclear):
            assert set(choose_cores(cores, threads - 1).cores) <= set(choice.cores)


@settings(max_examples=100, deadline=None)
@given(LAYOUTS, st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(layout: Layout, random: Any) -> None:
    files = list(layout.files().items())
    random.shuffle(files)
    shuffled = dict(files)
    assert parse_layout(shuffled, shuffled["/proc/cpuinfo"], shuffled["/proc/self/status"]) == (
        cores_of(layout)
    )


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 40)))
def test_lists_and_masks_say_the_same(cores: set[int]) -> None:
    assert parse_core_list(core_list(cores)) == cores
    assert (int(mask(cores), 16) if cores else 0) == sum(1 << core for core in cores)


@pytest.mark.parametrize("text", ["x", "3-", "-", "0-99999999", "1;rm"])
def test_what_is_no_list_of_cores_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (int's own words, or ours)
        parse_core_list(text)
