"""Exported files under the runtimes of before: the table in the documentation, run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version

from tests.integration.search_client.exported import command

pytestmark = pytest.mark.nightly

#: run by a Python that holds a runtime; for each file one JSON object a line, by delegate. Pixels
#: are uint8 [N, H, W, 3]; files that take float are given them in [-1, 1]
_PROBE = """
import json
import sys
import numpy as np
try:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ImportError:
    from tflite_runtime.interpreter import Interpreter, OpResolverType
RESOLVERS = {
    "XNNPACK": OpResolverType.AUTO,
    "none": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}
def run(path, pixels, resolver):
    try:
        interpreter = Interpreter(path, experimental_op_resolver_type=resolver, num_threads=1)
        interpreter.allocate_tensors()
        given, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        scale, zero = output["quantization"]
        rows = []
        for image in pixels:
            if given["dtype"] == np.float32:
                values = image.astype(np.float32) / 127.5 - 1
            else:
                shift = 128 if given["dtype"] == np.int8 else 0
                values = (image.astype(np.int16) - shift).astype(given["dtype"])
            interpreter.set_tensor(given["index"], values[np.newaxis])
            interpreter.invoke()
            row = interpreter.get_tensor(output["index"])[0].astype(np.float32)
            rows.append(((row - zero) * scale if scale else row).tolist())
        nodes = [one["op_name"] for one in interpreter._get_ops_details()]
        return {"delegated": "DELEGATE" in nodes, "logits": rows, "scale": scale}
    except (RuntimeError, ValueError) as error:
        return {"refused": str(error)}
images = np.load(sys.argv[1])
for file in sys.argv[2:]:
    print(json.dumps({name: run(file, images, one) for name, one in RESOLVERS.items()}))
"""
_DOCS = Path(__file__).parents[3] / "docs/quantization.md"
_HEADING = "### Runtimes"
#: the last Python that all of these have wheels for
_PYTHON = "3.9"
_VERSIONS = ("2.7.0", "2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.0", "2.13.0", "2.14.0")
_NUMPY = "numpy==1.26.4"
#: files, by the columns of the table
_FILES = {
    "int8, uint8": ("searched.int8.tflite", "searched.uint8.tflite"),
    "int8 of `--runtime 2.7`": ("old.int8.tflite",),
    "float32, float16": ("searched.float32.tflite", "searched.float16.tflite"),
}


def old_python() -> str | None:
    """A Python of that version, or none."""
    named = shutil.which(f"python{_PYTHON}")
    found = [Path(named)] if named else []
    found += sorted(Path.home().glob(f".pyenv/versions/{_PYTHON}.*/bin/python"))
    for path in found:
        if not subprocess.run([path, "-c", ""], check=False, capture_output=True).returncode:
            return str(path)
    return None


def installed(requirement: str, folder: Path) -> Path:
    for_other = ["--no-deps", "--only-binary=:all:", "--python-version", _PYTHON]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*pip, *for_other, requirement], check=True)
    return folder


def probed(python: str, path: list[Path], pixels: Path, files: list[Path]) -> list[dict[str, dict]]:  # type: ignore[type-arg]
    """What the runtime on a path makes of the files, by delegate."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    ran = subprocess.run(
        [python, "-c", _PROBE, pixels, *files],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def outcome(found: dict[str, dict], wanted: dict[str, dict]) -> str:  # type: ignore[type-arg]
    """Whether logits are those of LiteRT, under both delegates, but for an output step."""
    if any("refused" in one for one in found.values()):
        return "refused"
    expected = np.array(wanted["none"]["logits"])
    tolerance = 1.01 * wanted["none"]["scale"] or 1e-5
    words = set()
    for one in found.values():
        logits = np.array(one["logits"])
        right = np.abs(logits - expected).max() <= tolerance
        words.add("right" if right else "wrong" if logits.any() else "zeros")
    return " or ".join(sorted(words))


def documented() -> dict[str, list[str]]:
    """The table's cells by version."""
    lines = _DOCS.read_text(encoding="utf-8").partition(_HEADING)[2].splitlines()
    end = next(at for at, line in enumerate(lines) if line.startswith("| LiteRT"))
    table = [line for line in lines[: end + 1] if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    # without the heading and the line below it
    return {version: cells for first, *cells in rows[2:] for version in first.split(", ")}


@pytest.fixture(scope="module")
def files(run: Path, data: Path) -> list[list[Path]]:
    old = ["--runtime", "2.7", "--out", str(run / "old.int8.tflite")]
    command("export", "--run", run, "--form", "int8", "--data", data, *old)
    return [[run / name for name in names] for names in _FILES.values()]


def test_the_table_of_runtimes_is_what_they_do(files: list[list[Path]], tmp_path: Path) -> None:
    python = old_python()
    if python is None:
        pytest.skip(f"tflite-runtime {_VERSIONS[0]} needs Python {_PYTHON}, which is not installed")
    pixels = tmp_path / "pixels.npy"
    made = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3))
    np.save(pixels, made.astype(np.uint8))
    flat = [path for column in files for path in column]
    wanted = probed(sys.executable, [], pixels, flat)
    numpy = installed(_NUMPY, tmp_path / "numpy")
    seen = {"LiteRT": wanted}
    for version in _VERSIONS:
        folder = installed(f"tflite-runtime=={version}", tmp_path / version)
        short = f"{Version(version).major}.{Version(version).minor}"
        seen[short] = probed(python, [folder, numpy], pixels, flat)
    told = documented()
    assert set(told) == set(seen)
    for version, found in seen.items():
        words = [outcome(one, other) for one, other in zip(found, wanted, strict=True)]
        delegated = [one["XNNPACK"].get("delegated", False) for one in found]
        kinds = {"int8": delegated[:3], "float": delegated[3:]}
        assert all(len(set(kind)) == 1 for kind in kinds.values()), version
        taken = ", ".join(kind for kind, each in kinds.items() if all(each)) or "nothing"
        assert len(set(words[:2])) == len(set(words[3:])) == 1, version
        assert told[version] == [words[0], words[2], words[3], taken], version
