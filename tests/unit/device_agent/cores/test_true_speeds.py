"""Cores are chosen by what a phone states, and judged here by how fast they truly are.

Clusters of known parts at drawn clocks have a true speed, clock times work a clock. The phone
states any part of that: capacities of all, clocks, parts, its clusters numbered in whatever order.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from device_agent.cores.choice import choose_cores
from device_agent.cores.layout import Core, parse_layout
from device_agent.cores.parts import PARTS
from device_agent.errors import CoresUnclear
from tests.phones.layouts import A55, A76, A78, A510, A710, A715, X1, Cluster, Layout

SHAPES = [
    *((4, 3, 1), (1, 3, 4), (2, 6), (6, 2), (1, 5, 2), (2, 5, 1), (4, 4), (4, 2, 2), (3, 2, 2, 1)),
    *((8,), (4,), (2,), (1,)),
]
CLUSTERS = st.builds(
    Cluster,
    count=st.just(1),
    khz=st.sampled_from([1_800_000, 2_000_000, 2_400_000, 2_800_000]),
    part=st.sampled_from([A55, A510, A76, A78, A710, A715, X1]),
    online=st.sampled_from([True, True, True, False]),
)


@st.composite
def phones(draw: st.DrawFn) -> list[Cluster]:
    """Clusters of a shape that phones have, or of any other."""
    counts = draw(st.sampled_from(SHAPES) | st.lists(st.integers(1, 6), min_size=1, max_size=4))
    return [replace(draw(CLUSTERS), count=count) for count in counts]


def speed(cluster: Cluster) -> int:
    assert cluster.part is not None
    assert cluster.khz is not None
    return PARTS[cluster.part].per_clock * cluster.khz


def stated(
    clusters: list[Cluster], *, capacities: bool, clocks: bool, parts: bool
) -> tuple[Core, ...]:
    """What the agent reads on a phone that states these things."""
    best = max(map(speed, clusters))
    told = [
        replace(
            one,
            capacity=1024 * speed(one) // best if capacities else None,
            khz=one.khz if clocks else None,
            part=one.part if parts else None,
        )
        for one in clusters
    ]
    files = Layout(told).files()
    return parse_layout(files, files["/proc/cpuinfo"], files["/proc/self/status"])


@settings(max_examples=300, deadline=None)
@given(phones(), st.integers(1, 8), st.booleans(), st.booleans(), st.booleans())
def test_no_slower_core_is_taken_in_the_place_of_a_faster_one(
    clusters: list[Cluster], threads: int, capacities: bool, clocks: bool, parts: bool
) -> None:
    assume(any(cluster.online for cluster in clusters))
    whole = capacities or (clocks and parts)
    # Clocks alone, and parts alone, are a speed where the other is the same everywhere.
    assume(whole or not clocks or len({one.part for one in clusters}) == 1)
    assume(whole or not parts or len({one.khz for one in clusters}) == 1)
    try:
        choice = choose_cores(
            stated(clusters, capacities=capacities, clocks=clocks, parts=parts), threads
        )
    except CoresUnclear:
        return
    if not choice.cores:
        return
    members = Layout(clusters).members()
    speeds = {
        core: speed(cluster)
        for cluster, cores in zip(clusters, members, strict=True)
        for core in cores
    }
    taken = {core: speeds[core] for core in choice.cores}
    left = [value for core, value in speeds.items() if core not in taken]
    fastest = sorted(speeds.values(), reverse=True)
    # Those that are needed are among those that are taken ...
    assert sorted(taken.values(), reverse=True)[:threads] == fastest[:threads]
    # ... and where all is told, no slower one beside them; of two kinds as fast, one may do.
    if whole:
        assert max(left, default=0) <= min(taken.values())
        assert len([one for one in taken.values() if one > min(taken.values())]) < threads
