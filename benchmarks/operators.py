"""How well operators of any kind are encoded, added up and recognised in foreign files, here.

Four parts, which `--only` runs apart; about 15 minutes together, on an idle machine:

- `correct`: every form of every operator in both precisions: whether XNNPACK runs it alone, and how
  far its file is from torch (float32: at most 1e-4; int8: at most 2 steps for each layer);
- `encode`: the time to encode one operator;
- `sums`: sums of operators against 20 random networks of each space named by `--spaces`, calibrated
  on 5 others;
- `foreign`: files that litert-torch converted from timm, predicted from other networks' operators
  and layers, with `--profiles` also as these are inside the networks. Make them once, in an
  environment of its own:

      python -m venv foreign-venv
      foreign-venv/bin/pip install torch==2.13.0 litert-torch timm
      foreign-venv/bin/python benchmarks/operators_on_host/convert_foreign.py foreign

The last line is one JSON object: `encode_operator_ms` (median), `mape_new_spaces` (percent, mean
over spaces and precisions), `foreign_within10` and `foreign_within5` (share of the files, of the
worse precision), `operators_right` and `operators_delegated` (shares), and the error of each space.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Literal, get_args

# Python looks beside a script: `benchmarks` itself lies in the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console

from benchmarks.operators_on_host.correct import check, encode_ms
from benchmarks.operators_on_host.foreign import compare, counts
from benchmarks.operators_on_host.sums import HELD_OUT_NETWORKS, errors_of_sums
from benchmarks.operators_on_host.visits import Host
from netspec.errors import UserError
from netspec.operators import PRECISIONS
from netspec.spaces import read_space
from tests.unit.netspec.operators.examples import EXAMPLES

Part = Literal["correct", "encode", "sums", "foreign"]

SPACES = ("mobilenetv3-ofa", "fbnet", "mobilenetv4-uib")
SUMS_LIMIT_S = 460.0
FOREIGN_LIMIT_S = 330.0
FILES = Path("foreign")


def main() -> None:
    """Runs the parts and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=get_args(Part), default=get_args(Part))
    parser.add_argument("--spaces", nargs="+", default=SPACES, help="shipped ones, or files")
    parser.add_argument("--networks", type=int, default=HELD_OUT_NETWORKS, help="held out")
    parser.add_argument("--files", type=Path, default=FILES, help="folder of foreign files")
    parser.add_argument(
        "--profiles", action="store_true", help="learn from profiles inside networks, too"
    )
    parser.add_argument("--limit", type=float, help="seconds of a measuring part")
    chosen = parser.parse_args()
    console = Console(width=130)
    numbers: dict[str, float] = {}
    operators = list(EXAMPLES.values())
    if "correct" in chosen.only:
        found = check(operators, console)
        numbers["operators_right"] = float(np.mean([one.right for one in found]))
        numbers["operators_delegated"] = float(np.mean([not one.left for one in found]))
    if "encode" in chosen.only:
        spaces = [read_space(name) for name in chosen.spaces]
        alone = [
            operator.with_precision(precision)
            for space in spaces
            for operator in space.operators()
            for precision in PRECISIONS
        ]
        numbers["encode_operator_ms"] = encode_ms(list(dict.fromkeys(alone)))
    if {"sums", "foreign"} & set(chosen.only):
        with tempfile.TemporaryDirectory() as folder, Host(Path(folder)) as host:
            numbers |= _measured(host, chosen, console)
    console.print(f"load of this machine, last minute: {os.getloadavg()[0]:.1f}")
    print(json.dumps(numbers))


def _measured(host: Host, chosen: argparse.Namespace, console: Console) -> dict[str, float]:
    numbers: dict[str, float] = {}
    if "sums" in chosen.only:
        spaces = {name: read_space(name) for name in chosen.spaces}
        limit_s = chosen.limit or SUMS_LIMIT_S
        errors = errors_of_sums(host, spaces, limit_s, console, chosen.networks)
        numbers |= {f"mape {name}": error for name, error in errors.items()}
        numbers["mape_new_spaces"] = float(np.mean(list(errors.values())))
    if "foreign" in chosen.only:
        files = sorted(chosen.files.glob("*.tflite"))
        if not files:
            raise UserError(
                f"{chosen.files} holds no .tflite files; make them as `python "
                "benchmarks/operators.py --help` says, or leave `foreign` out with --only"
            )
        limit_s = chosen.limit or FOREIGN_LIMIT_S
        numbers |= counts(compare(host, files, limit_s, console, profiles=chosen.profiles))
    numbers["disturbed_share"] = host.disturbed_share
    return numbers


if __name__ == "__main__":
    main()
