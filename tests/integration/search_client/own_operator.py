"""A network with the how-to's operator, from the table to the file; run in a process of its own."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from device_agent.runners.kernels import operators_of_kernels
from device_agent.runners.litert_library import ProfiledModel
from netspec.costs import macs
from netspec.layers import Parameters
from netspec.networks import Network
from netspec.operators import (
    Classifier,
    MBConv,
    OperatorBase,
    StemConv,
    operator_from_key,
    registered_operators,
)
from netspec.spaces import Space
from netspec.tflite import encode
from netspec.wire import NetworkSubject
from profiler_server.dashboard.wording import subject_title
from profiler_server.latency_model.features import features
from profiler_server.latency_tables.lookups.operator_query import OperatorQuery
from search_client.data.batches import CentralCrops, PlainBatches, TrainingBatches
from search_client.deployment.parity import verify
from search_client.latency.expected import ExpectedLatency
from search_client.latency.losses import Linear
from search_client.latency.objective import Goal
from search_client.networks.layers import FloatNetwork, OperatorModule, folded_parameters
from search_client.quantization.post_training import quantize_post_training
from search_client.report.figures.architecture import (
    Scale,
    network_architecture,
    searched_architecture,
)
from search_client.search.config import SearchConfig
from search_client.search.search import search
from search_client.supernet import inactive_paths
from search_client.supernet.block_input import BlockInput
from search_client.supernet.variants import Family
from tests.unit.search_client.tiny import tiny_images


def priced(block: OperatorBase) -> None:
    """The server knows it by its key and fields; its kernels are told apart on this machine."""
    fields = {"kind": "pool_mixer", "middle": "24", "in": "8", "out": "8", "size": "8"}
    assert OperatorQuery.model_validate(fields).operator() == block
    assert operator_from_key(block.key) == block
    assert subject_title(block.key) == "Pool mixer 8²×8 → 8²×8, middle 24"  # noqa: RUF001
    assert np.isfinite(features([block])).all()
    assert macs(block) == 64 * 2 * 8 * 24
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "block.tflite"
        file.write_bytes(encode((block,)))
        with ProfiledModel(str(file), [bytes(4 * 8 * 8 * 8)]) as model:
            model.start()
            model.run()
            kinds = [kind for kind, _ in model.stop()]
    assert set(operators_of_kernels((block,), kinds)) == {0}


def compared(block: OperatorBase) -> None:
    """An architecture step compares it with other candidates of its position."""
    other = MBConv(input_size=8, in_channels=8, out_channels=8, expand=3, residual=True)
    modules = [OperatorModule(one).train() for one in (other, block)]
    x = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        outputs = list(inactive_paths.outputs(modules, BlockInput(x)))
        for output, module in zip(outputs, modules, strict=True):
            assert torch.allclose(output, module(x), atol=2e-4)


def searched(block: OperatorBase) -> None:
    """A space chooses it, and a search that wants the fastest network finds it."""
    mbconv = {"kind": "mbconv", "expand": 6}
    stage = {"channels": 8, "depth": 2, "stride": 1}
    space = Space.model_validate(
        {
            "input_size": 16,
            "classes": 3,
            "stem": [{"kind": "stem", "channels": 8, "stride": 2}],
            "stages": [{**stage, "candidates": [mbconv, {"kind": block.kind, "middle": 24}]}],
        }
    )
    assert space.blocks[0].candidates[1] == block
    prices_ms = {one.key: 1.0 if one.kind == block.kind else 5.0 for one in space.operators()}
    torch.manual_seed(0)
    result = search(
        Family(space),
        Goal.single(ExpectedLatency.of_space(space, prices_ms, "made up"), 8.0),
        TrainingBatches(tiny_images(32), 16, 16, seed=0),
        PlainBatches(tiny_images(16, seed=1), 16, 16, shuffle_seed=0),
        SearchConfig(
            latency_loss=Linear(weight=1000.0),
            warmup_epochs=1,
            joint_epochs=15,
            weight_steps_per_architecture_step=1,
            architecture_learning_rate=0.1,
        ),
        lambda _: None,
    )
    # Zero is faster still, and as good a choice.
    assert set(result.choices) <= {1, 2}
    drawn = searched_architecture(space, [1, 2], Scale.of(result.network))
    assert "Pool mixer 3x3" in str(drawn)


def trained_and_exported(network: Network) -> None:
    """It is trained, quantized, and computes in the file what it computes in torch."""
    torch.manual_seed(0)
    images = tiny_images(32)
    pixels = torch.nn.functional.interpolate(images.images.float(), 16).to(torch.uint8)
    model = FloatNetwork(network)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batch = (pixels.float() / 255 - 0.45) / 0.225
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), images.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    file = encode(network.operators, Parameters(folded_parameters(model), {}))
    found = verify(file, model, CentralCrops.of(pixels[:8], images.labels[:8]))
    assert found.worst.max_difference < 1e-3 * max(1.0, found.greatest_logit)
    quantized = quantize_post_training(model, [(batch, images.labels)])
    file = encode(quantized.network.operators, quantized.parameters_for_export())
    found = verify(file, quantized, CentralCrops.of(pixels[:8], images.labels[:8]))
    assert found.worst.tied_agreement == 1.0


def main() -> None:
    """All of it, one after the other."""
    kinds = {operator.kind_name(): operator for operator in registered_operators()}
    shape = {"input_size": 8, "in_channels": 8, "out_channels": 8}
    block = kinds["pool_mixer"].model_validate({**shape, "middle": 24})
    stem = StemConv(input_size=16, in_channels=3, out_channels=8, stride=2)
    classifier = Classifier(input_size=8, in_channels=8, out_channels=3)
    network = Network(name="own", operators=(stem, block, classifier))
    subject = NetworkSubject(network=network)
    assert NetworkSubject.model_validate_json(subject.model_dump_json()) == subject
    priced(block)
    compared(block)
    searched(block)
    trained_and_exported(network)
    drawn = network_architecture(network, Scale.of(network))
    assert "Pool mixer 3x3" in str(drawn)


if __name__ == "__main__":
    main()
