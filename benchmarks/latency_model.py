"""How near predicted latencies are to measured ones, on this machine, at 224 px.

Operators of the ProxylessNAS space and of three MobileNetV2, calibration networks and held-out
networks are visited in the same shuffled rounds by the agent's own runner; the server's latency
model then predicts the held-out ones. The visits are kept in a file: `--from FILE` fits again
without measuring, and of several files, with other seeds, it states the mean; `--resume FILE` goes
on where `--limit` ended a session, so that a machine need not be idle for long. With `--transfer`
this host is five devices instead, and four of them get their tables from the first one's and ten
visits, see `benchmarks/transfer10`. The last line is one JSON object, for P in float32 and int8:

- `P_mape_5`, `P_within5_5`: held-out random networks, calibrated on 5 others; error in percent,
  share within 5 percent;
- `P_mape_5_telling`: on as many of the 40 below, chosen by what they tell of others instead;
- `P_mape_best`, `P_spearman`, `P_interval_coverage`: the same, calibrated on all 40 calibration
  networks of the space by the model that cross-validation on these chooses;
- `P_mape_adaptive40`: the same with 40 percent of the operators measured, chosen by
  what they tell, the others predicted;
- `P_group_interval_coverage`: share of operators within their stated interval where all of one
  input size, or of one number of output channels, were left out, each in turn; those that the
  model refuses do not count, `P_group_refused` is their share, `P_group_interval_width` the mean
  of the upper half of the interval, relative (a kernel size left out is refused as a whole);
- `P_mobilenet_mape`: the three MobileNetV2, their own operators measured, the same 40 calibration
  networks; `P_mobilenet_mape_kin`: with 9 more, made of MobileNetV2's operators in other depths.

The held-out networks are drawn block by block, all choices alike; they and the three MobileNetV2
take no part in any fit or choice. With `--transfer`, means over the four devices:

- `transfer10_mape`, `transfer10_coverage`, `transfer10_width`: held-out networks, error in percent,
  share within their stated interval, mean of its upper half;
- `transfer10_operator_mape`, `transfer10_operator_coverage`: operators that were filled in;
- `transfer10_worst_mape`: held-out networks on the device where they are worst.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import fields
from pathlib import Path

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from benchmarks.latency_fits import Data, evaluate
from benchmarks.latency_visits import FULL, QUICK, Session, go_on, measure
from benchmarks.transfer10.evaluate import VISITS
from benchmarks.transfer10.evaluate import evaluate as transferred
from benchmarks.transfer10.visits import DEVICES, Measured
from benchmarks.transfer10.visits import measure as measure_devices
from netspec.operators import PRECISIONS

#: of the networks and of the order; another one with --seed
SEED = 7
FULL_LIMIT_S = 900.0
QUICK_LIMIT_S = 35.0
TRANSFER_LIMIT_S = 360.0


def main() -> None:
    """Measures, unless there are visits already, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few networks, few visits")
    parser.add_argument(
        "--from", dest="files", type=Path, nargs="+", help="visits of earlier sessions"
    )
    parser.add_argument("--resume", type=Path, help="go on with the visits of this session")
    parser.add_argument("--seed", type=int, default=SEED, help="of networks and order")
    parser.add_argument("--data", type=Path, help="folder for the visits")
    parser.add_argument("--transfer", action="store_true", help="tables from ten visits instead")
    parser.add_argument(
        "--predecessor", type=Path, help="with --transfer: a Python that holds tflite-runtime"
    )
    parser.add_argument("--limit", type=float, help="no visit begins later than this, s")
    chosen = parser.parse_args()
    files: list[Path] = chosen.files or [_measured(chosen)]
    console = Console(width=110)
    told = transfers if chosen.transfer else accuracies
    found = [told(file, console) for file in files]
    print(json.dumps({name: float(np.mean([one[name] for one in found])) for name in found[0]}))


def _measured(chosen: argparse.Namespace) -> Path:
    """The file of a new session, or of the one that goes on."""
    if chosen.resume:
        go_on(chosen.resume, chosen.limit or FULL_LIMIT_S)
        return Path(chosen.resume)
    folder: Path = chosen.data or user_cache_path("proxyless-farm") / "latency_model"
    folder.mkdir(parents=True, exist_ok=True)
    kind = "transfer-" if chosen.transfer else ""
    file = folder / f"{kind}{time.strftime('%Y%m%dT%H%M%S')}-seed{chosen.seed}.jsonl"
    if chosen.transfer:
        limit_s = QUICK_LIMIT_S if chosen.quick else TRANSFER_LIMIT_S
        measure_devices(file, chosen.predecessor, chosen.seed, chosen.limit or limit_s)
    else:
        amount, limit_s = (QUICK, QUICK_LIMIT_S) if chosen.quick else (FULL, FULL_LIMIT_S)
        measure(file, amount, chosen.seed, chosen.limit or limit_s)
    return file


def accuracies(file: Path, console: Console) -> dict[str, float]:
    """Fits to a session and prints; its numbers."""
    session = Session.read(file)
    numbers: dict[str, float] = {}
    for precision in PRECISIONS:
        numbers |= evaluate(Data.of(session, precision), precision, console)
    console.print(
        f"{session.visits} visits, {session.rejected} of them rejected; kept in {file}",
        soft_wrap=True,
    )
    load = {"load_1m_start": session.plan.load_1m or 0.0, "load_1m_end": os.getloadavg()[0]}
    return {**numbers, **load}


def transfers(file: Path, console: Console) -> dict[str, float]:
    """Makes the tables of a session's devices out of ten visits each and prints; the numbers."""
    measured = Measured.read(file)
    others = [one for one in DEVICES[1:] if one.name in measured.estimates]
    found = [transferred(measured, one) for one in others]
    table = Table(title=f"tables from {DEVICES[0].name} and {VISITS} visits, errors in percent")
    for field in fields(found[0]):
        table.add_column(field.name.replace("_", " "))
    for one in found:
        table.add_row(*(one.shown()))
    console.print(table)
    for missing in DEVICES[1:]:
        if missing not in others:
            console.print(f"{missing.name}: not measured, give --predecessor")
    console.print(f"kept in {file}", soft_wrap=True)
    return {
        "transfer10_mape": float(np.mean([one.mape_percent for one in found])),
        "transfer10_coverage": float(np.mean([one.coverage for one in found])),
        "transfer10_width": float(np.mean([one.width for one in found])),
        "transfer10_operator_mape": float(np.mean([one.operator_mape_percent for one in found])),
        "transfer10_operator_coverage": float(np.mean([one.operator_coverage for one in found])),
        "transfer10_worst_mape": max(one.mape_percent for one in found),
        "load_1m_start": measured.subjects.load_1m,
        "load_1m_end": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
