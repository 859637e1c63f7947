"""Files run by LiteRT against the networks in torch that they came from, on every kernel set."""

import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from netspec.layers import Float32Array, Parameters
from netspec.operators import named_layers
from netspec.quantization import affine_of
from netspec.tflite import FileOptions, encode
from search_client.data import batches
from search_client.data.batches import CentralCrops, normalise
from search_client.deployment import logits as of_files
from search_client.deployment import parity
from search_client.deployment.litert import Kernels, NoClassifier, Pixels, TFLiteClassifier
from search_client.deployment.logits import FileLogits, to_pixels, torch_logits
from search_client.deployment.parity import KERNEL_SETS, verify
from search_client.networks.layers import FloatNetwork, folded_parameters
from search_client.quantization.network import QuantizedNetwork
from search_client.quantization.post_training import quantize_post_training
from tests.unit.search_client.tiny import tiny_images, tiny_space

NETWORK = tiny_space().network([0, 3])
COUNT = 30
IMAGES = tiny_images(COUNT).images[:, :, :16, :16].contiguous()


@pytest.fixture(scope="module")
def float_network() -> FloatNetwork:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK).train()
    with torch.no_grad():
        for _ in range(20):  # running statistics
            model(normalise(IMAGES))
        # An untrained classifier's logits are hardly above 0.
        next(one for one in model.modules() if isinstance(one, torch.nn.Linear)).weight.mul_(50)
    return model.eval()


@pytest.fixture(scope="module")
def quantized(float_network: FloatNetwork) -> QuantizedNetwork:
    batches = [(normalise(IMAGES), torch.zeros(COUNT))]
    return quantize_post_training(float_network, batches).eval()


def file_logits(classifier: TFLiteClassifier) -> np.ndarray:
    return classifier.logits(to_pixels(IMAGES))


@pytest.mark.parametrize("kernels", KERNEL_SETS)
def test_a_float32_file_gives_the_logits_of_torch(
    float_network: FloatNetwork, kernels: Kernels
) -> None:
    file = encode(NETWORK.operators, Parameters(folded_parameters(float_network), {}))
    classifier = TFLiteClassifier(file, kernels)
    assert (classifier.output_scale, classifier.input_size, classifier.classes) == (None, 16, 3)
    of_torch = torch_logits(float_network, IMAGES)
    assert np.ptp(of_torch) > 0.1
    np.testing.assert_allclose(file_logits(classifier), of_torch, atol=1e-4)


@pytest.mark.parametrize("kernels", KERNEL_SETS)
@pytest.mark.parametrize("codes", ["int8", "uint8"])
def test_an_int8_file_gives_the_dequantized_logits_of_fake_quantization(
    quantized: QuantizedNetwork, kernels: Kernels, codes: str
) -> None:
    parameters = quantized.parameters_for_export()
    options = FileOptions(codes="uint8" if codes == "uint8" else "int8")
    operators = quantized.network.operators
    classifier = TFLiteClassifier(encode(operators, parameters, options=options), kernels)
    scale = affine_of(parameters.ranges[named_layers(operators)[-1][0]]).scale
    assert classifier.output_scale == pytest.approx(scale)
    of_torch = torch_logits(quantized, IMAGES)
    # Enough codes in use, so that two steps are little.
    assert np.ptp(of_torch) > 100 * scale
    assert np.abs(file_logits(classifier) - of_torch).max() <= 2.01 * scale


def test_several_interpreters_find_what_one_finds(
    quantized: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    labels = torch.arange(COUNT) % 3
    monkeypatch.setattr(of_files, "_CHUNK", 4)
    ran: set[int] = set()
    of_litert = TFLiteClassifier.logits

    def follow(classifier: TFLiteClassifier, images: Pixels) -> Float32Array:
        ran.add(id(classifier))
        return of_litert(classifier, images)

    monkeypatch.setattr(TFLiteClassifier, "logits", follow)
    found = {}
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        shown: list[tuple[int, int]] = []
        found[threads] = verify(
            file,
            quantized,
            CentralCrops.of(IMAGES, labels),
            kernel_sets=["reference"],
            on_image=lambda *numbers, shown=shown: shown.append(numbers),
        )
        assert {total for _, total in shown} == {COUNT}
        assert [done for done, _ in shown] == sorted({done for done, _ in shown})
        assert shown[-1] == (COUNT, COUNT)
    assert found[1] == found[3]
    assert len(ran) > 1


@pytest.mark.parametrize("read_at_once", [COUNT, 7])
def test_reference_kernels_run_some_of_many_images(
    read_at_once: int, quantized: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    monkeypatch.setattr(parity, "MOST_BY_REFERENCE", 4)
    ran: dict[str, list[int]] = {kernels: [] for kernels in KERNEL_SETS}

    class Followed(FileLogits):
        def __call__(
            self, pixels: Pixels, on_image: Callable[[int], None]
        ) -> tuple[Float32Array, float | None]:
            everything = to_pixels(IMAGES)
            ran[self.kernels] += [
                int((everything == one).all((1, 2, 3)).argmax()) for one in pixels
            ]
            return super().__call__(pixels, on_image)

    monkeypatch.setattr(parity, "FileLogits", Followed)
    monkeypatch.setattr(batches, "_CROPS", read_at_once)
    shown: list[tuple[int, int]] = []
    compared = CentralCrops.of(IMAGES, torch.zeros(COUNT).long())
    found = verify(file, quantized, compared, on_image=lambda *n: shown.append(n))
    assert ran["reference"] == [0, 9, 19, 29]
    assert ran["builtin"] == ran["xnnpack"] == list(range(COUNT))
    assert shown[-1] == (2 * COUNT + 4, 2 * COUNT + 4)
    assert found.images == COUNT
    assert found.worst.tied_agreement == 1.0


def test_a_comparison_in_parts_finds_what_one_of_all_images_finds(
    quantized: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    # Against another network, so that there are differences of all sizes.
    torch.manual_seed(5)
    other = FloatNetwork(quantized.network.with_precision("float32")).eval()
    compared = CentralCrops.of(IMAGES, torch.arange(COUNT) % 3)
    whole = verify(file, other, compared)
    assert 0 < whole.worst.top1_agreement < 1
    monkeypatch.setattr(batches, "_CROPS", 7)
    parts = verify(file, other, compared)
    assert parts.worst_image == whole.worst_image
    for kernels, found in parts.parity.items():
        assert asdict(found) == pytest.approx(asdict(whole.parity[kernels]))


def test_an_interrupted_comparison_does_not_go_on(
    quantized: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    monkeypatch.setattr(of_files, "_CHUNK", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    ran: list[int] = []
    of_litert = TFLiteClassifier.logits

    def slow(classifier: TFLiteClassifier, images: Pixels) -> Float32Array:
        ran.append(len(images))
        time.sleep(0.05)
        return of_litert(classifier, images)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TFLiteClassifier, "logits", slow)
    with pytest.raises(KeyboardInterrupt):
        verify(
            file,
            quantized,
            CentralCrops.of(IMAGES, torch.zeros(COUNT).long()),
            on_image=interrupt,
        )
    assert len(ran) < COUNT / 2


def test_float16_weights_stay_within_their_rounding(float_network: FloatNetwork) -> None:
    parameters = Parameters(folded_parameters(float_network), {})
    file = encode(NETWORK.operators, parameters, options=FileOptions(half_weights=True))
    assert len(file) < 0.6 * len(encode(NETWORK.operators, parameters))
    of_torch = torch_logits(float_network, IMAGES)
    difference = np.abs(file_logits(TFLiteClassifier(file)) - of_torch).max()
    assert 0 < difference < 5e-3 * np.abs(of_torch).max()


def test_what_is_no_classifier_of_images_is_refused() -> None:
    with pytest.raises(NoClassifier, match="LiteRT cannot load the model"):
        TFLiteClassifier(b"no model at all")
    block = NETWORK.operators[1:2]
    with pytest.raises(NoClassifier, match=r"takes a tensor of shape \[1, 8, 8, 8\]"):
        TFLiteClassifier(encode(block))


UNDER_A_BAR = """
import sys
from pathlib import Path
from search_client.deployment.litert import TFLiteClassifier
from search_client.progress import Stages

with Stages().bar("images") as advance:
    advance(0, 2)
    TFLiteClassifier(Path(sys.argv[1]).read_bytes())
    advance(2, 2)
"""


def test_a_bar_on_a_terminal_is_not_torn(float_network: FloatNetwork, tmp_path: Path) -> None:
    # LiteRT says once a process that it made a delegate: this one may have heard it.
    file = tmp_path / "model.tflite"
    file.write_bytes(encode(NETWORK.operators, Parameters(folded_parameters(float_network), {})))
    terminal, its_side = pty.openpty()
    command = [sys.executable, "-c", UNDER_A_BAR, str(file)]
    with subprocess.Popen(command, stdout=its_side, stderr=its_side) as process:
        os.close(its_side)
        shown = b"".join(_until_hung_up(terminal)).decode()
    os.close(terminal)
    assert process.returncode == 0, shown
    assert "2/2" in shown
    assert "INFO" not in shown


def _until_hung_up(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(terminal, 1 << 16)
        except OSError:  # Linux's end of a terminal
            return
