"""Cores of phones, as Linux states them: files of /sys and /proc for fake phones.

Clocks, parts and numbering of named ones are those of public kernel sources and `/proc/cpuinfo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ARM, HISILICON, QUALCOMM, SAMSUNG = 0x41, 0x48, 0x51, 0x53
_CPU = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind, in the order of their numbers."""

    count: int
    khz: int | None
    part: tuple[int, int] | None = None
    capacity: int | None = None
    #: clusters of the same clock domain stand beside each other
    shares_clock: bool = False
    online: bool = True
    #: logical cores of a physical one
    siblings: int = 1


@dataclass(frozen=True)
class Layout:
    """All cores, from the first one on."""

    clusters: Sequence[Cluster]
    #: whether the kernel prints the part of each core in /proc/cpuinfo, and has MIDR files
    names_parts: bool = True
    has_midr: bool = False
    #: of the shell; None: all
    allowed: str | None = None
    more_files: dict[str, str] = field(default_factory=dict)

    def members(self) -> list[list[int]]:
        """Numbers of the cores of each cluster."""
        numbers = iter(range(sum(cluster.count for cluster in self.clusters)))
        return [[next(numbers) for _ in range(cluster.count)] for cluster in self.clusters]

    def files(self) -> dict[str, str]:
        """Files of /sys and /proc with their text."""
        found: dict[str, str] = {}
        members = self.members()
        every = [core for cores in members for core in cores]
        online = [
            core
            for cluster, cores in zip(self.clusters, members, strict=True)
            for core in cores
            if cluster.online
        ]
        found[f"{_CPU}/possible"] = found[f"{_CPU}/present"] = _span(every)
        found[f"{_CPU}/online"] = ",".join(map(str, online))
        domains = self._domains()
        blocks: list[str] = []
        for cluster, cores, domain in zip(self.clusters, members, domains, strict=True):
            for at, core in enumerate(cores):
                folder = f"{_CPU}/cpu{core}"
                if cluster.capacity is not None:
                    found[f"{folder}/cpu_capacity"] = str(cluster.capacity)
                if not cluster.online:
                    continue
                first = at - at % cluster.siblings
                siblings = cores[first : first + cluster.siblings]
                found[f"{folder}/topology/thread_siblings_list"] = ",".join(map(str, siblings))
                if cluster.khz is not None:
                    found[f"{folder}/cpufreq/cpuinfo_max_freq"] = str(cluster.khz)
                    found[f"{folder}/cpufreq/related_cpus"] = " ".join(map(str, domain))
                block = f"processor\t: {core}\nBogoMIPS\t: 38.40\n"
                if cluster.part is not None:
                    maker, part = cluster.part
                    if self.names_parts:
                        block += f"CPU implementer\t: 0x{maker:02x}\nCPU architecture: 8\n"
                        block += (
                            f"CPU variant\t: 0x1\nCPU part\t: 0x{part:03x}\nCPU revision\t: 2\n"
                        )
                    if self.has_midr:
                        midr = maker << 24 | 0xF << 16 | part << 4 | 1
                        found[f"{folder}/regs/identification/midr_el1"] = f"0x{midr:016x}"
                blocks.append(block)
        found["/proc/cpuinfo"] = "\n".join(blocks)
        found["/proc/self/status"] = "Name:\tcat\nCpus_allowed_list:\t" + (
            self.allowed or _span(every)
        )
        return found | self.more_files

    def _domains(self) -> list[list[int]]:
        domains: list[list[int]] = []
        for cluster, cores in zip(self.clusters, self.members(), strict=True):
            if cluster.shares_clock:
                domains[-1] += cores
                domains.append(domains[-1])
            else:
                domains.append(list(cores))
        return domains


def _span(cores: Sequence[int]) -> str:
    return f"{cores[0]}-{cores[-1]}" if len(cores) > 1 else str(cores[0])


A7, A53, A55, A57, A72 = (ARM, 0xC07), (ARM, 0xD03), (ARM, 0xD05), (ARM, 0xD07), (ARM, 0xD08)
A73, A75, A76, A77, A78 = (ARM, 0xD09), (ARM, 0xD0A), (ARM, 0xD0B), (ARM, 0xD0D), (ARM, 0xD41)
X1, A510, A710, X2 = (ARM, 0xD44), (ARM, 0xD46), (ARM, 0xD47), (ARM, 0xD48)
A715, X3, A520, A720, X4 = (ARM, 0xD4D), (ARM, 0xD4E), (ARM, 0xD80), (ARM, 0xD81), (ARM, 0xD82)
X925, OSMIUM = (ARM, 0xD85), (QUALCOMM, 0x001)
KRAIT, KRYO_GOLD, KRYO_SILVER = (QUALCOMM, 0x06F), (QUALCOMM, 0x205), (QUALCOMM, 0x211)
GOLD_2, SILVER_2 = (QUALCOMM, 0x800), (QUALCOMM, 0x801)
GOLD_3, SILVER_3 = (QUALCOMM, 0x802), (QUALCOMM, 0x803)
GOLD_4, SILVER_4 = (QUALCOMM, 0x804), (QUALCOMM, 0x805)
M1, M3, M4, M5 = (SAMSUNG, 1), (SAMSUNG, 2), (SAMSUNG, 3), (SAMSUNG, 4)
KIRIN_A76 = (HISILICON, 0xD40)

#: layout, and the masks wanted for 1, 2 and 4 threads
PHONES: dict[str, tuple[Layout, tuple[str, str, str]]] = {
    "Helio P60": (
        Layout([Cluster(4, 1_989_000, A53), Cluster(4, 1_989_000, A73)]),
        ("f0", "f0", "f0"),
    ),
    "Helio P60, only MIDR": (
        Layout([Cluster(4, 1_989_000, A53), Cluster(4, 1_989_000, A73)], False, True),
        ("f0", "f0", "f0"),
    ),
    "Helio P60, no cpufreq": (
        Layout([Cluster(4, None, A53), Cluster(4, None, A73)]),
        ("f0", "f0", "f0"),
    ),
    "Helio P22": (
        Layout([Cluster(4, 2_001_000, A53), Cluster(4, 1_500_000, A53)]),
        ("f", "f", "f"),
    ),
    "Helio X20": (
        Layout(
            [Cluster(4, 1_391_000, A53), Cluster(4, 1_846_000, A53), Cluster(2, 2_106_000, A72)]
        ),
        ("300", "300", "3f0"),
    ),
    "Helio G90T": (
        Layout([Cluster(6, 2_000_000, A55, 429), Cluster(2, 2_050_000, A76, 1024)]),
        ("c0", "c0", "ff"),
    ),
    "Dimensity 9300": (
        Layout(
            [
                Cluster(4, 2_000_000, A720, 550),
                Cluster(3, 2_850_000, X4, 900),
                Cluster(1, 3_250_000, X4, 1024),
            ]
        ),
        ("80", "f0", "f0"),
    ),
    "Dimensity 9400": (
        Layout(
            [
                Cluster(4, 2_400_000, A720, 400),
                Cluster(3, 3_300_000, X4, 850),
                Cluster(1, 3_626_000, X925, 1024),
            ]
        ),
        ("80", "f0", "f0"),
    ),
    "MSM8226": (Layout([Cluster(4, 1_190_400, A7)], names_parts=False), ("f", "f", "f")),
    "Snapdragon 801": (Layout([Cluster(4, 2_457_600, KRAIT)], names_parts=False), ("f", "f", "f")),
    "Snapdragon 615": (
        Layout([Cluster(4, 1_497_600, A53), Cluster(4, 1_113_600, A53)], names_parts=False),
        ("f", "f", "f"),
    ),
    "Snapdragon 625": (
        Layout([Cluster(4, 2_016_000, A53), Cluster(4, 2_016_000, A53)]),
        ("ff", "ff", "ff"),
    ),
    "Snapdragon 652": (
        Layout([Cluster(4, 1_401_600, A53), Cluster(4, 1_804_800, A72)], names_parts=False),
        ("f0", "f0", "f0"),
    ),
    "Snapdragon 808": (
        Layout([Cluster(4, 1_440_000, A53), Cluster(2, 1_824_000, A57)], names_parts=False),
        ("30", "30", "3f"),
    ),
    "Snapdragon 820": (
        Layout([Cluster(2, 1_593_600, KRYO_SILVER), Cluster(2, 2_150_400, KRYO_GOLD)]),
        ("c", "c", "f"),
    ),
    "Snapdragon 660": (
        Layout([Cluster(4, 1_843_200, SILVER_2), Cluster(4, 2_208_000, GOLD_2)]),
        ("f0", "f0", "f0"),
    ),
    "Snapdragon 670": (
        Layout([Cluster(6, 1_708_800, SILVER_3, 516), Cluster(2, 2_016_000, GOLD_3, 1024)]),
        ("c0", "c0", "ff"),
    ),
    "Snapdragon 845": (
        Layout([Cluster(4, 1_766_400, SILVER_3), Cluster(4, 2_803_200, GOLD_3)]),
        ("f0", "f0", "f0"),
    ),
    "Snapdragon 855": (
        Layout(
            [
                Cluster(4, 1_785_600, SILVER_4),
                Cluster(3, 2_419_200, GOLD_4),
                Cluster(1, 2_841_600, GOLD_4),
            ]
        ),
        ("80", "f0", "f0"),
    ),
    "Snapdragon 865": (
        Layout(
            [
                Cluster(4, 1_804_800, SILVER_4, 284),
                Cluster(3, 2_419_200, A77, 871),
                Cluster(1, 2_841_600, A77, 1024),
            ]
        ),
        ("80", "f0", "f0"),
    ),
    "Snapdragon 888": (
        Layout(
            [
                Cluster(4, 1_804_800, A55, 250),
                Cluster(3, 2_419_200, A78, 800),
                Cluster(1, 2_841_600, X1, 1024),
            ]
        ),
        ("80", "f0", "f0"),
    ),
    "Snapdragon 8 Gen 1": (
        Layout(
            [Cluster(4, 1_785_600, A510), Cluster(3, 2_496_000, A710), Cluster(1, 2_995_200, X2)]
        ),
        ("80", "f0", "f0"),
    ),
    "Snapdragon 8 Gen 2": (
        Layout(
            [
                Cluster(3, 2_016_000, A510, 326),
                Cluster(2, 2_803_200, A715, 884),
                Cluster(2, 2_803_200, A710, 884, shares_clock=True),
                Cluster(1, 3_187_200, X3, 1024),
            ]
        ),
        ("80", "98", "f8"),
    ),
    "Snapdragon 8 Gen 2, no capacities": (
        Layout(
            [
                Cluster(3, 2_016_000, A510),
                Cluster(2, 2_803_200, A715),
                Cluster(2, 2_803_200, A710, shares_clock=True),
                Cluster(1, 3_187_200, X3),
            ],
            has_midr=True,
        ),
        ("80", "98", "f8"),
    ),
    "Snapdragon 8 Gen 3": (
        Layout(
            [
                Cluster(2, 2_265_600, A520, 350),
                Cluster(3, 3_148_800, A720, 830),
                Cluster(2, 2_956_800, A720, 780),
                Cluster(1, 3_302_400, X4, 1024),
            ]
        ),
        ("80", "9c", "9c"),
    ),
    "Snapdragon 8 Elite": (
        Layout([Cluster(6, 3_532_800, OSMIUM), Cluster(2, 4_320_000, OSMIUM)]),
        ("c0", "c0", "ff"),
    ),
    "Exynos 8890": (
        Layout([Cluster(4, 1_586_000, A53), Cluster(4, 2_600_000, M1)]),
        ("f0", "f0", "f0"),
    ),
    "Exynos 9810": (
        Layout([Cluster(4, 1_794_000, A55), Cluster(4, 2_704_000, M3)]),
        ("f0", "f0", "f0"),
    ),
    "Exynos 9820": (
        Layout(
            [
                Cluster(4, 1_950_000, A55, 244),
                Cluster(2, 2_314_000, A75, 500),
                Cluster(2, 2_730_000, M4, 1024),
            ]
        ),
        ("c0", "c0", "f0"),
    ),
    "Exynos 990": (
        Layout([Cluster(4, 2_002_000, A55), Cluster(2, 2_504_000, A76), Cluster(2, 2_730_000, M5)]),
        ("c0", "c0", "f0"),
    ),
    "Exynos 9611": (
        Layout([Cluster(4, 1_742_000, A53), Cluster(4, 2_314_000, A73)]),
        ("f0", "f0", "f0"),
    ),
    "Exynos 2400": (
        Layout(
            [
                Cluster(4, 1_959_000, A520, 200),
                Cluster(2, 2_592_000, A720, 700),
                Cluster(3, 2_899_000, A720, 800),
                Cluster(1, 3_207_000, X4, 1024),
            ]
        ),
        ("200", "3c0", "3c0"),
    ),
    "Tensor G1": (
        Layout(
            [
                Cluster(4, 1_803_000, A55, 124),
                Cluster(2, 2_253_000, A76, 427),
                Cluster(2, 2_802_000, X1, 1024),
            ]
        ),
        ("c0", "c0", "f0"),
    ),
    "Tensor G3": (
        Layout(
            [
                Cluster(4, 1_704_000, A510, 200),
                Cluster(4, 2_367_000, A715, 700),
                Cluster(1, 2_914_000, X3, 1024),
            ]
        ),
        ("100", "1f0", "1f0"),
    ),
    "Kirin 970": (
        Layout([Cluster(4, 1_844_000, A53), Cluster(4, 2_362_000, A73)]),
        ("f0", "f0", "f0"),
    ),
    "Kirin 980": (
        Layout(
            [
                Cluster(4, 1_805_000, A55),
                Cluster(2, 1_920_000, KIRIN_A76),
                Cluster(2, 2_600_000, KIRIN_A76),
            ]
        ),
        ("c0", "c0", "f0"),
    ),
    "Unisoc T310": (
        Layout([Cluster(3, 2_000_000, A55), Cluster(1, 2_000_000, A75)]),
        ("8", "f", "f"),
    ),
    "Unisoc SC9863A": (
        Layout([Cluster(4, 1_200_000, A55), Cluster(4, 1_600_000, A55)]),
        ("f0", "f0", "f0"),
    ),
    "Unisoc T820": (
        Layout(
            [Cluster(4, 2_101_000, A55), Cluster(3, 2_314_000, A76), Cluster(1, 2_704_000, A76)]
        ),
        ("80", "f0", "f0"),
    ),
    "one, three, four": (
        Layout([Cluster(1, 2_800_000, X1), Cluster(3, 2_400_000, A78), Cluster(4, 1_800_000, A55)]),
        ("1", "f", "f"),
    ),
    "two, six": (
        Layout([Cluster(2, 2_200_000, A76), Cluster(6, 2_000_000, A55)]),
        ("3", "3", "ff"),
    ),
    "a little core with the higher clock": (
        Layout([Cluster(4, 2_300_000, A53), Cluster(4, 1_900_000, A73)]),
        ("f0", "f0", "f0"),
    ),
    "Android on an Alder Lake": (
        Layout(
            [Cluster(4, 4_700_000, siblings=2), Cluster(4, 3_600_000)],
            more_files={"/sys/devices/cpu_core/cpus": "0-3", "/sys/devices/cpu_atom/cpus": "4-7"},
        ),
        ("f", "5", "f5"),
    ),
    "one core": (Layout([Cluster(1, 1_000_000, A7)]), ("1", "none", "none")),
    "an emulator": (Layout([Cluster(4, None)]), ("none", "none", "none")),
    "an Atom with two threads a core": (
        Layout([Cluster(4, 2_000_000, siblings=2)]),
        ("f", "5", "f"),
    ),
}
