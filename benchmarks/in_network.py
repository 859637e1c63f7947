"""How well operators, measured inside networks, add up to other whole networks.

On this machine: networks that cover the ProxylessNAS space are visited with profiles, in shuffled
rounds, and random networks of the space between them, without. Operators' entries are estimated
over the visits as the server does; their sums are compared with the whole networks' entries. Take
it on an idle machine: a whole run that other work interrupts is slower, its operators are not. The
last line is one JSON object, in percent, means over networks and precisions:

- `bias_percent`: by how much the sums are above the held-out networks, as they are;
- `error_percent`: the absolute error of these sums;
- `scaled_error_percent`: the same after one factor, fitted on the networks that were profiled;
- `profiling_percent`: what a profiled run takes more than a plain one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from device_agent.host.identity import choose_core, leave_core
from device_agent.runners.litert import LiteRtRunner
from netspec.covering_networks import covering_networks
from netspec.networks import Network
from netspec.operators import PRECISIONS
from netspec.protocol import MeasurementProtocol
from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.statistics import estimate_each
from netspec.tflite import encode

_SEED = 0


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in under a minute")
    parser.add_argument("--rounds", type=int)
    chosen = parser.parse_args()
    appearances, held_out, size = (1, 2, 96) if chosen.quick else (3, 8, 224)
    rounds = chosen.rounds or (2 if chosen.quick else 6)
    core = choose_core(None)
    leave_core(core)
    table = Table("precision", "bias %", "error %", "after one factor %", "profiling costs %")
    found: list[list[float]] = []
    for precision in PRECISIONS:
        space = Space(input_size=size, precision=precision)
        cover = covering_networks(space, appearances, _SEED)
        drawn = np.random.default_rng(_SEED + 1)
        fresh = [random_network(space, drawn) for _ in range(held_out)]
        found.append(compared(cover, fresh, rounds, core))
        table.add_row(precision, *(f"{one:.2f}" for one in found[-1]))
    Console(width=100).print(table)
    print(f"load of this machine, last minute: {os.getloadavg()[0]:.1f}")
    names = ("bias_percent", "error_percent", "scaled_error_percent", "profiling_percent")
    print(json.dumps(dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))))


def compared(
    cover: Sequence[Network], fresh: Sequence[Network], rounds: int, core: int | None
) -> list[float]:
    """Bias, error, error after one factor, and what profiling costs, in percent."""
    networks = [*cover, *fresh]
    protocol = MeasurementProtocol()
    whole_us: dict[int, list[float]] = defaultdict(list)
    profiled_us: dict[int, list[float]] = defaultdict(list)
    operators_us: dict[str, list[float]] = defaultdict(list)
    rng = random.Random(_SEED)  # noqa: S311 (an order, no secret)
    runner = LiteRtRunner(core)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{index}.tflite" for index in range(len(networks))]
        for file, network in zip(files, networks, strict=True):
            file.write_bytes(encode(network.operators))
        for _ in range(rounds):
            for index in rng.sample(range(len(networks)), len(networks)):
                operators = networks[index].operators if index < len(cover) else None
                measured = runner.visit(files[index], protocol, operators)
                whole_us[index].append(measured.statistics.p5_us)
                if operators is not None and measured.profile is not None:
                    profiled_us[index].append(measured.profile.network_us or 0.0)
                    for operator, us in zip(operators, measured.profile.operators_us, strict=True):
                        operators_us[operator.key].append(us)
    runner.close()
    entries = {key: low(seen) for key, seen in operators_us.items()}
    sums = np.array([sum(entries[one.key] for one in network.operators) for network in networks])
    ratios = sums / np.array([low(whole_us[index]) for index in range(len(networks))])
    factor, held = ratios[: len(cover)].mean(), ratios[len(cover) :]
    costs = [low(profiled_us[index]) / low(whole_us[index]) for index in range(len(cover))]
    errors = (held.mean() - 1, abs(held - 1).mean(), abs(held / factor - 1).mean())
    return [100 * float(one) for one in (*errors, np.mean(costs) - 1)]


def low(seen: Sequence[float]) -> float:
    """The estimator of entries, over visits."""
    return estimate_each([np.sort(seen)])[0].value_ms


if __name__ == "__main__":
    main()
