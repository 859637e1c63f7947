"""By what energy is counted, as a user asks for it."""

from __future__ import annotations

from typing import Annotated

import typer

from device_agent.measuring.energy import EnergySource

Energy = Annotated[
    EnergySource,
    typer.Option(
        help="Count energy by this: rails of a power monitor (odpm, or power_stats of Android's "
        "service), the battery's fuel_gauge, a board's sensors (hwmon), or a computer's or board's "
        "rapl. auto: rails that are known."
    ),
]
EnergyRails = Annotated[
    list[str] | None,
    typer.Option(
        "--energy-rail",
        help="Rail whose energy is counted, such as S2M_VDD_CPUCL2; may be repeated. By default "
        "those that are known of the SoC.",
        show_default=False,
    ),
]
