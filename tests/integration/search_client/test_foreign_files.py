"""Files of other makers are given images as they say, or as the user says, and never as ours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netspec.errors import UserError
from netspec.layers import Parameters
from netspec.quantization import Affine
from netspec.tflite import FileOptions, encode
from netspec.tflite.classifier_metadata import (
    BUFFER,
    ClassifierText,
    classifier_metadata,
    with_labels,
)
from search_client.deployment.accuracy import UnknownNormalisation, evaluate_file
from search_client.deployment.litert import Pixels, TFLiteClassifier
from search_client.deployment.metadata import Form
from search_client.deployment.trained_network import TrainedNetwork
from search_client.networks.layers import folded_parameters
from search_client.networks.normalisation import INCEPTION, Normalisation, Renormalise
from search_client.quantization.pixels import USUAL, PixelInput
from tests.integration.search_client.exported import CLASSES, command


def foreign(
    trained: TrainedNetwork, labels: tuple[str, ...] | None, *, permuted: tuple[int, ...] = ()
) -> bytes:
    """A float file that takes images in [-1, 1], and says so where it has labels.

    `permuted`: the classes that its logits are of, in order.
    """
    step = Renormalise(INCEPTION, USUAL)
    affine = (step.gain.flatten().tolist(), step.offset.flatten().tolist())
    weights = dict(folded_parameters(trained.model))
    (last,) = (name for name in weights if name.endswith(".dense"))
    if permuted:
        held = weights[last]
        rows = list(permuted)
        weights[last] = type(held)(held.weight[rows], held.bias[rows])
    half = [127.5] * 3
    said = ClassifierText("theirs", "a net of others", labels or (), 16, half, half)
    metadata = {} if labels is None else {BUFFER: classifier_metadata(said)}
    options = FileOptions(input_affine=affine, metadata=metadata)
    file = encode(trained.network.operators, Parameters(weights, {}), options=options)
    return file if labels is None else with_labels(file, labels)


def accuracy(model: Path, data: Path, *options: str) -> float:
    told = command("evaluate", model, "--data", data, "--workers", "1", "--json", *options)
    return float(json.loads(told)["top1"])


def test_a_file_that_says_its_normalisation_is_fed_by_it(
    trained: TrainedNetwork, run: Path, data: Path, tmp_path: Path
) -> None:
    wanted = accuracy(run / "searched.float32.tflite", data)
    theirs = tmp_path / "theirs.tflite"
    theirs.write_bytes(foreign(trained, CLASSES))
    assert accuracy(theirs, data) == wanted
    # Its labels are in another order, and those of the logits, too.
    theirs.write_bytes(
        foreign(trained, tuple(CLASSES[row] for row in (2, 0, 1)), permuted=(2, 0, 1))
    )
    assert accuracy(theirs, data) == wanted


def test_a_file_that_says_nothing_is_asked_about(
    trained: TrainedNetwork, run: Path, data: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.tflite"
    theirs.write_bytes(foreign(trained, None))
    with pytest.raises(UnknownNormalisation, match=r"give --mean and --std, of pixels in 0\.\.1"):
        accuracy(theirs, data)
    wanted = accuracy(run / "searched.float32.tflite", data)
    assert accuracy(theirs, data, "--mean", "0.5", "--std", "0.5,0.5,0.5") == wanted
    wrong = ("--mean", "0", "--std", "0.00392157")
    assert accuracy(theirs, data, *wrong) != wanted


def test_classes_of_other_names_are_taken_in_order_and_told(
    trained: TrainedNetwork, data: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.tflite"
    theirs.write_bytes(foreign(trained, ("red", "green", "blue")))
    heard: list[str] = []
    assert evaluate_file(theirs, data, 1, tell=heard.append).top1 > 0.6
    assert heard == [
        "The model calls its classes red, green, blue ...: they are taken in the folder's order"
    ]
    theirs.write_bytes(foreign(trained, ("class 0", "green", "blue")))
    with pytest.raises(UserError, match="the model has no class class 1, class 2"):
        evaluate_file(theirs, data, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mean", "0.5"), "need each other"),
        (("--mean", "127.5", "--std", "127.5"), "divide those of pixels in 0..255 by 255"),
        (("--mean", "0.5,0.5", "--std", "0.5"), "expected one number, or three"),
        (("--mean", "x", "--std", "0.5"), "expected one number, or three"),
        (("--mean", "0.5", "--std", "0"), "expected one number, or three"),
    ],
)
def test_what_normalises_no_image_is_refused(
    options: tuple[str, ...], message: str, run: Path, data: Path
) -> None:
    with pytest.raises(UserError, match=message):
        accuracy(run / "searched.float32.tflite", data, *options)
    with pytest.raises(UserError, match=r"--mean takes a \.tflite file"):
        command(
            "evaluate", run / "searched.network.pt", "--data", data, "--mean", "0", "--std", "1"
        )


@pytest.fixture(scope="module")
def image() -> Pixels:
    return np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)


@pytest.mark.parametrize("form", ["int8", "uint8"])
def test_codes_stand_for_normalised_pixels(form: Form, run: Path, image: Pixels) -> None:
    content = (run / f"searched.{form}.tflite").read_bytes()
    # As an app reads it out of our own standard metadata: the pixels themselves.
    codes = PixelInput()
    ours = Normalisation((codes.zero / 255,) * 3, (1 / (255 * codes.step),) * 3)
    given = TFLiteClassifier(content, normalisation=ours)._given(image)
    assert given.dtype == np.dtype(form)
    assert (given == TFLiteClassifier(content)._given(image)).all()
    other = TFLiteClassifier(content, normalisation=INCEPTION)._given(image)
    affine = Affine(codes.step, codes.zero - 128)
    wanted = affine.quantize(
        (image.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    )
    assert (other.astype(int) == wanted.astype(int) + 128 * (form == "uint8")).all()
