"""Operators and files are what they were: stored measurements are true for these very bytes."""

import hashlib
import json
from pathlib import Path
from typing import Any

from netspec.networks import mobilenet_v2
from netspec.operators import OPERATOR, Convert, MBConv, operator_from_key
from netspec.spaces import Space
from netspec.tflite import FileOptions, encode

#: written before operators became graphs of layers
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())


def sha256(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()


def test_keys_hashes_json_and_files_of_single_operators_never_change() -> None:
    for row in GOLDEN["operators"]:
        operator = operator_from_key(row["key"])
        assert operator.model_dump_json() == row["json"]
        assert OPERATOR.validate_json(row["json"]) == operator
        assert operator.key == row["key"]
        assert operator.content_hash == row["hash"]
        assert sha256(encode((operator,), seed=3)) == row["file"], row["key"]


def test_files_of_networks_never_change() -> None:
    block = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)
    into, back = (
        Convert.model_validate(
            {"input_size": 8, "in_channels": 8, "out_channels": 8, "precision": precision}
        )
        for precision in ("float32", "int8")
    )
    int8 = block.with_precision("int8")
    small = mobilenet_v2(32, 0.35, 10)
    found = {
        "half weights": encode(small.operators, options=FileOptions(half_weights=True)),
        "uint8": encode(small.with_precision("int8").operators, options=FileOptions(codes="uint8")),
        "mixed": encode((int8, into, block, back, int8)),
    }
    for precision in ("float32", "int8"):
        network = mobilenet_v2(64, 0.35, 10).with_precision(precision)
        found[f"mobilenet_v2 {precision}"] = encode(network.operators, seed=1)
        space = Space(input_size=48, width=0.5, classes=7, precision=precision)
        path = [at % block.choices for at, block in enumerate(space.blocks)]
        found[f"proxylessnas {precision}"] = encode(space.network(path).operators)
    assert {name: sha256(file) for name, file in found.items()} == GOLDEN["networks"]
