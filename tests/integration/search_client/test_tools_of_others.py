"""MediaPipe and ai-edge-quantizer, each in an environment of its own, take exported files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.search_client.exported import command

pytestmark = pytest.mark.nightly

_CLASSIFY = """
import json, sys
import mediapipe
from mediapipe.tasks import python
from mediapipe.tasks.python import vision
found = []
for model in sys.argv[2:]:
    base = python.BaseOptions(model_asset_path=model)
    options = vision.ImageClassifierOptions(base_options=base, max_results=1)
    with vision.ImageClassifier.create_from_options(options) as classifier:
        result = classifier.classify(mediapipe.Image.create_from_file(sys.argv[1]))
        found.append(result.classifications[0].categories[0].category_name)
print(json.dumps(found))
"""
_QUANTIZE = """
import json, sys
import numpy as np
from ai_edge_quantizer import quantizer, recipe
work = quantizer.Quantizer(sys.argv[1])
work.load_quantization_recipe(recipe.static_wi8_ai8())
numbers = np.random.default_rng(0).uniform(-2, 2, (8, 1, 16, 16, 3)).astype(np.float32)
seen = work.calibrate({"serving_default": [{"image": one} for one in numbers]})
open(sys.argv[2], "wb").write(work.quantize(seen).quantized_model)
print(json.dumps(True))
"""


def environment(folder: Path, requirement: str) -> Path:
    """The interpreter of a new environment with one package and what that needs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-compile", requirement]
    subprocess.run(pip, check=True)
    return python


def said(python: Path, program: str, *arguments: str | Path) -> object:
    """What a program prints last, as JSON."""
    ran = subprocess.run(
        [python, "-P", "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_mediapipe_names_the_class(run: Path, data: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", "mediapipe==1.2.3")
    files = [run / "searched.uint8.tflite"]
    for form in ("float32", "float16"):
        files.append(tmp_path / f"{form}.tflite")
        command("export", "--run", run, "--form", form, "--uniform-input", "--out", files[-1])
    for name in ("class 0", "class 1", "class 2"):
        image = min((data / "test" / name).glob("*.png"))
        assert said(python, _CLASSIFY, image, *files) == [name] * 3


def test_ai_edge_quantizer_quantizes_the_float_file(run: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", "ai-edge-quantizer==0.10.0")
    made = tmp_path / "quantized.tflite"
    assert said(python, _QUANTIZE, run / "searched.float32.tflite", made) is True
    assert made.stat().st_size < (run / "searched.float32.tflite").stat().st_size
