"""Interleaved visits of one space's operators and networks on five devices, kept in a file.

JSON lines: first the plan, then a visit a line, so that transfers can be tried again without
measuring.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from pydantic import BaseModel

from device_agent.host.identity import choose_core, leave_core
from device_agent.measuring.rounds import interleaved_rounds
from device_agent.runners.forked_runs import runner_environment
from netspec.errors import UserError
from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.sampling import random_network, stratified_networks, typical_networks
from netspec.spaces import Space
from netspec.statistics import Estimate, estimate_each, low_run
from netspec.tflite import encode

SPACE = Space(input_size=96, width=0.5, classes=100)
#: networks measured on every device: half typical, half of all latencies; and those predicted
CALIBRATION, HELD_OUT = 16, 20
#: rounds over all subjects of a device; fewer where time runs out
ROUNDS = 24

Role = Literal["operator", "calibration", "held_out"]


@dataclass(frozen=True)
class HostDevice:
    """This machine as one of the devices."""

    name: str
    precision: Precision
    kernels: Literal["xnnpack", "builtin"] = "xnnpack"
    threads: int = 1
    #: runs in the Python that holds `tflite-runtime`
    predecessor: bool = False


#: the first one has a table; the others get theirs from it
DEVICES = (
    HostDevice("float32", "float32"),
    HostDevice("builtin kernels", "float32", kernels="builtin"),
    HostDevice("two threads", "float32", threads=2),
    HostDevice("tflite-runtime", "float32", predecessor=True),
    HostDevice("int8", "int8"),
)


class Subjects(BaseModel):
    """What is visited on each device, in float32; a device has it in its own precision."""

    operators: list[Operator]
    calibration: list[Network]
    held_out: list[Network]
    #: runnable processes when it began, average of the last minute
    load_1m: float

    def chains(self, precision: Precision) -> dict[str, tuple[Operator, ...]]:
        """By name, what is encoded."""
        chains: dict[str, tuple[Operator, ...]] = {
            f"operator {one.key}": (one,) for one in self.operators
        }
        for role, networks in (("calibration", self.calibration), ("held_out", self.held_out)):
            chains |= {f"{role} {at}": one.operators for at, one in enumerate(networks)}
        return {
            name: tuple(one.with_precision(precision) for one in chain)
            for name, chain in chains.items()
        }


@dataclass(frozen=True)
class Measured:
    """A session's file."""

    subjects: Subjects
    #: by device and name
    estimates: dict[str, dict[str, Estimate]]

    @classmethod
    def read(cls, file: Path) -> Measured:
        """Read what a session has written."""
        with file.open(encoding="utf-8") as lines:
            subjects = Subjects.model_validate_json(next(lines))
            visits: dict[tuple[str, str], list[float]] = defaultdict(list)
            for line in lines:
                device, name, us = json.loads(line)
                visits[device, name].append(us)
        estimates: dict[str, dict[str, Estimate]] = defaultdict(dict)
        found = estimate_each([np.sort(np.array(one)) for one in visits.values()])
        for (device, name), one in zip(visits, found, strict=True):
            estimates[device][name] = one
        return cls(subjects, dict(estimates))


def measure(file: Path, predecessor: Path | None, seed: int, limit_s: float) -> None:
    """Visit everything on every device and write it down.

    Args:
        file: is written, a line a visit.
        predecessor: the Python that holds `tflite-runtime`; None: that device is left out.
        seed: of networks and order.
        limit_s: once everything was visited, no round begins later than this, in s.
    """
    started = time.monotonic()
    # What this process leaves is taken for several threads all the same.
    every = os.sched_getaffinity(0)
    core = choose_core(None)
    leave_core(core)
    devices = [one for one in DEVICES if predecessor is not None or not one.predecessor]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        runners = {
            one.name: stack.enter_context(
                _runner(one, predecessor if one.predecessor else Path(sys.executable), every)
            )
            for one in devices
        }
        looks = dict.fromkeys((one.key for one in SPACE.operators()), 1.0)
        files = _encoded(
            folder, "float32", {f"operator {one.key}": (one,) for one in SPACE.operators()}
        )
        for name, path in files.items():
            looks[name.removeprefix("operator ")] = runners["float32"](path) / 1000
        subjects = _subjects(looks, seed)
        paths = {
            precision: _encoded(folder, precision, subjects.chains(precision))
            for precision in {one.precision for one in devices}
        }
        with file.open("w", encoding="utf-8") as lines:
            lines.write(subjects.model_dump_json() + "\n")
            rounds = interleaved_rounds(dict.fromkeys(paths["float32"], ROUNDS), seed)
            for number, order in enumerate(rounds):
                if number and time.monotonic() - started > limit_s:
                    return
                for name in order:
                    for one in devices:
                        us = runners[one.name](paths[one.precision][name])
                        lines.write(json.dumps([one.name, name, us]) + "\n")
                lines.flush()


def _subjects(looks: Mapping[str, float], seed: int) -> Subjects:
    rng = np.random.default_rng(seed)
    return Subjects(
        operators=list(SPACE.operators()),
        calibration=[
            *typical_networks(SPACE, looks, CALIBRATION // 2, seed + 1),
            *stratified_networks(SPACE, looks, CALIBRATION // 2, seed + 2),
        ],
        held_out=[random_network(SPACE, rng) for _ in range(HELD_OUT)],
        load_1m=os.getloadavg()[0],
    )


def _encoded(
    folder: Path, precision: Precision, chains: Mapping[str, Iterable[Operator]]
) -> dict[str, Path]:
    paths = {}
    for name, chain in chains.items():
        paths[name] = folder / f"{precision} {name.replace('/', '_')}.tflite"
        if not paths[name].exists():
            paths[name].write_bytes(encode(tuple(chain)))
    return paths


class _Runner:
    """The process of one device."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, model: Path) -> float:
        """The low run of one visit, us."""
        assert self._process.stdin is not None  # noqa: S101 (pipes were asked for)
        assert self._process.stdout is not None  # noqa: S101 (pipes were asked for)
        self._process.stdin.write(f"{model}\n")
        self._process.stdin.flush()
        return float(low_run(np.array(json.loads(self._process.stdout.readline()))))


@contextmanager
def _runner(device: HostDevice, python: Path | None, cores: Collection[int]) -> Iterator[_Runner]:
    chosen = sorted(cores)[-device.threads :]
    if len(chosen) < device.threads:
        raise UserError(f"{device.name} needs {device.threads} cores, there are {len(chosen)}")
    place = ",".join(map(str, chosen))
    command = [str(python), "-P", "-m", "benchmarks.transfer10.runs"]
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(  # noqa: S603 (the user's own Python)
        [*command, device.kernels, str(device.threads), place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**runner_environment(), "PYTHONPATH": root},
        text=True,
    ) as process:
        try:
            yield _Runner(process)
        finally:
            process.kill()
