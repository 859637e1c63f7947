"""CPU parts by the numbers in their identification register, and how fast they are beside others.

Numbers: Arm's `MIDR_EL1` (implementer in bits 31 to 24, part in bits 15 to 4), as Linux prints them
in `/proc/cpuinfo`; names as in util-linux's `lscpu-arm.c`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CpuPart:
    """One design of a core."""

    name: str
    #: work done in one clock, where a Cortex-A53 does 70; only the order between parts counts. From
    #: `capacity-dmips-mhz` in the kernel's device trees, and Arm's own statements of generations
    per_clock: int


_ARM, _HISILICON, _NVIDIA, _QUALCOMM, _SAMSUNG = 0x41, 0x48, 0x4E, 0x51, 0x53

PARTS: dict[tuple[int, int], CpuPart] = {
    (_ARM, 0xC05): CpuPart("Cortex-A5", 40),
    (_ARM, 0xC07): CpuPart("Cortex-A7", 55),
    (_ARM, 0xC08): CpuPart("Cortex-A8", 57),
    (_ARM, 0xC09): CpuPart("Cortex-A9", 75),
    (_ARM, 0xC0D): CpuPart("Cortex-A12", 90),
    (_ARM, 0xC0E): CpuPart("Cortex-A17", 95),
    (_ARM, 0xC0F): CpuPart("Cortex-A15", 110),
    (_ARM, 0xD01): CpuPart("Cortex-A32", 60),
    (_ARM, 0xD02): CpuPart("Cortex-A34", 60),
    (_ARM, 0xD04): CpuPart("Cortex-A35", 61),
    (_ARM, 0xD03): CpuPart("Cortex-A53", 70),
    (_ARM, 0xD05): CpuPart("Cortex-A55", 82),
    (_ARM, 0xD06): CpuPart("Cortex-A65", 120),
    (_ARM, 0xD07): CpuPart("Cortex-A57", 125),
    (_ARM, 0xD08): CpuPart("Cortex-A72", 145),
    (_ARM, 0xD09): CpuPart("Cortex-A73", 150),
    (_ARM, 0xD0A): CpuPart("Cortex-A75", 180),
    (_ARM, 0xD0B): CpuPart("Cortex-A76", 225),
    (_ARM, 0xD0C): CpuPart("Neoverse-N1", 226),
    (_ARM, 0xD0E): CpuPart("Cortex-A76AE", 225),
    (_ARM, 0xD0D): CpuPart("Cortex-A77", 260),
    (_ARM, 0xD41): CpuPart("Cortex-A78", 275),
    (_ARM, 0xD42): CpuPart("Cortex-A78AE", 275),
    (_ARM, 0xD4B): CpuPart("Cortex-A78C", 280),
    (_ARM, 0xD44): CpuPart("Cortex-X1", 330),
    (_ARM, 0xD4C): CpuPart("Cortex-X1C", 330),
    (_ARM, 0xD46): CpuPart("Cortex-A510", 95),
    (_ARM, 0xD47): CpuPart("Cortex-A710", 300),
    (_ARM, 0xD48): CpuPart("Cortex-X2", 370),
    (_ARM, 0xD4D): CpuPart("Cortex-A715", 315),
    (_ARM, 0xD4E): CpuPart("Cortex-X3", 410),
    (_ARM, 0xD80): CpuPart("Cortex-A520", 105),
    (_ARM, 0xD88): CpuPart("Cortex-A520AE", 105),
    (_ARM, 0xD81): CpuPart("Cortex-A720", 330),
    (_ARM, 0xD89): CpuPart("Cortex-A720AE", 330),
    (_ARM, 0xD82): CpuPart("Cortex-X4", 450),
    (_ARM, 0xD87): CpuPart("Cortex-A725", 350),
    (_ARM, 0xD85): CpuPart("Cortex-X925", 520),
    (_ARM, 0xD8A): CpuPart("C1-Nano", 112),
    (_ARM, 0xD8B): CpuPart("C1-Pro", 370),
    (_ARM, 0xD90): CpuPart("C1-Premium", 540),
    (_ARM, 0xD8C): CpuPart("C1-Ultra", 570),
    (_QUALCOMM, 0x00F): CpuPart("Scorpion", 63),
    (_QUALCOMM, 0x02D): CpuPart("Scorpion", 63),
    (_QUALCOMM, 0x04D): CpuPart("Krait", 88),
    (_QUALCOMM, 0x06F): CpuPart("Krait", 90),
    (_QUALCOMM, 0x201): CpuPart("Kryo", 150),
    (_QUALCOMM, 0x205): CpuPart("Kryo", 150),
    (_QUALCOMM, 0x211): CpuPart("Kryo", 150),
    (_QUALCOMM, 0x800): CpuPart("Kryo-2XX-Gold", 150),
    (_QUALCOMM, 0x801): CpuPart("Kryo-2XX-Silver", 70),
    (_QUALCOMM, 0x802): CpuPart("Kryo-3XX-Gold", 180),
    (_QUALCOMM, 0x803): CpuPart("Kryo-3XX-Silver", 82),
    (_QUALCOMM, 0x804): CpuPart("Kryo-4XX-Gold", 225),
    (_QUALCOMM, 0x805): CpuPart("Kryo-4XX-Silver", 82),
    (_QUALCOMM, 0x001): CpuPart("Oryon", 450),
    (_QUALCOMM, 0x002): CpuPart("Oryon", 470),
    (_SAMSUNG, 0x001): CpuPart("Exynos-M1", 155),
    (_SAMSUNG, 0x002): CpuPart("Exynos-M3", 200),
    (_SAMSUNG, 0x003): CpuPart("Exynos-M4", 240),
    (_SAMSUNG, 0x004): CpuPart("Exynos-M5", 265),
    (_HISILICON, 0xD01): CpuPart("TaiShan-v110", 200),
    (_HISILICON, 0xD02): CpuPart("TaiShan-v120", 290),
    (_HISILICON, 0xD40): CpuPart("Cortex-A76", 225),
    (_HISILICON, 0xD41): CpuPart("Cortex-A77", 260),
    (_HISILICON, 0xD42): CpuPart("TaiShan-v121", 280),
    (_HISILICON, 0xD46): CpuPart("Cortex-A510", 95),
    (_NVIDIA, 0x000): CpuPart("Denver", 130),
    (_NVIDIA, 0x003): CpuPart("Denver-2", 150),
    (_NVIDIA, 0x004): CpuPart("Carmel", 190),
}


def part_name(part: tuple[int, int]) -> str:
    """The part's name, or its numbers where it is newer than this table."""
    known = PARTS.get(part)
    return known.name if known else f"part 0x{part[0]:02x}/0x{part[1]:03x}"
