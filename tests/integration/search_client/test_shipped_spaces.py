"""Every shipped space, cut down: priced, searched, derived, quantized, exported and drawn."""

from pathlib import Path

import pytest
import torch

from netspec.client import LatencyTable
from netspec.costs import macs
from netspec.spaces import Space, shipped_spaces
from netspec.tflite import encode
from search_client.data.batches import CentralCrops, TrainingBatches, central_crop
from search_client.deployment.parity import verify
from search_client.latency.prediction import predicted_ms
from search_client.networks.layers import FloatNetwork
from search_client.quantization.finetuning import QatConfig, finetune_int8
from search_client.recipe import Recipe
from search_client.report.figures.architecture import Scale, searched_architecture
from search_client.runs.load import read_run
from search_client.supernet.variants import Weights
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.small_spaces import small_space
from tests.unit.search_client.tables import calibration, snapshot
from tests.unit.search_client.tiny import tiny_images
from tests.unit.search_client.tiny_run import changed, tiny_search

METHODS: dict[Weights, dict[str, object]] = {
    "separate": {"gradient": "full_v2"},
    "shared": {
        "weights": "shared",
        "method": "evolution",
        "sampling": "sandwich",
        "evaluations": 4,
        "scoring_images": 8,
        "recalibration_images": 16,
    },
}


#: those of MBConvs alone repeat what other tests search
SPACES = [
    pytest.param(name, marks=[pytest.mark.nightly] if name in ("cifar", "proxylessnas") else [])
    for name in shipped_spaces()
]


def priced(settings: Recipe) -> LatencyTable:
    """Made up: more multiplications take longer."""
    values = {
        operator: 0.01 + macs(operator) / 1e5
        for operator in settings.operators()
        if operator.precision == "int8"
    }
    return LatencyTable(snapshot(values, [calibration("int8", 1.0)]))


def settings_of(space: Space, weights: Weights) -> Recipe:
    search = changed().search.model_dump() | METHODS[weights]
    return changed(space=space.model_dump(), search=search)


@pytest.mark.parametrize("weights", METHODS)
@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_priced_searched_and_derived(
    name: str, weights: Weights, tmp_path: Path
) -> None:
    space = small_space(name)
    if weights == "shared":
        # Convolutions in groups cannot be sliced.
        space = space.model_copy(update={"further_candidates": ()})
    settings = settings_of(space, weights)
    table = priced(settings)
    # That of a network of the space: there is one on target.
    halves = [block.choices // 2 for block in space.blocks]
    reference_ms = predicted_ms(table, space.with_precision("int8").network(halves))
    result = tiny_search(tmp_path, settings, [table], [reference_ms])
    assert predicted_ms(table, result.network) == pytest.approx(reference_ms, rel=0.05)
    run = read_run(tmp_path)
    assert run.candidate(result.network).choices == tuple(result.choices)
    drawn = str(searched_architecture(space, result.choices, Scale.of(result.network)))
    for block, choice in zip(space.blocks, result.choices, strict=True):
        chosen = [*(one.label for one in block.candidates), "skipped"][choice]
        assert chosen in drawn


@pytest.mark.parametrize("name", SPACES)
def test_a_network_of_a_space_is_trained_quantized_and_exported(name: str) -> None:
    torch.manual_seed(0)
    space = small_space(name)
    network = space.network([len(block.candidates) - 1 for block in space.blocks])
    batches = TrainingBatches(tiny_images(96), 32, 32, seed=0)
    model = FloatNetwork(network)
    train(model, batches, TrainConfig(epochs=2, rising_epochs=1), lambda _: None)
    finetuning = QatConfig(epochs=1, norm_epochs=0, frozen_epochs=1, learning_rate=1e-3)
    quantized, _ = finetune_int8(model, batches, finetuning, lambda _: None)
    test = tiny_images(60, seed=1)
    pixels = torch.nn.functional.interpolate(test.images.float(), 32).to(torch.uint8)
    file = encode(quantized.network.operators, quantized.eval().parameters_for_export())
    found = verify(file, quantized, CentralCrops.of(central_crop(pixels, 32), test.labels))
    assert found.worst.tied_agreement >= 0.95
