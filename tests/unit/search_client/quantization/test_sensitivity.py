import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.errors import UserError
from netspec.networks import Network
from netspec.operators import PRECISIONS, Classifier, MBConv, StemConv
from search_client.data.batches import PlainBatches, TrainingBatches
from search_client.networks.layers import ConvLayer, FloatNetwork, OperatorModule
from search_client.quantization.mixed_precision import (
    conversions_of,
    fastest_mix,
    most_exact_mix,
    with_float_blocks,
)
from search_client.quantization.post_training import PtqConfig
from search_client.quantization.sensitivity import SensitivityMeter
from search_client.training.loop import TrainConfig, train
from tests.unit.search_client.tiny import tiny_images

BLOCKS = 4
NETWORK = Network(
    name="four blocks",
    operators=(
        StemConv(input_size=16, in_channels=3, out_channels=8, stride=2),
        *(
            MBConv(input_size=8, in_channels=8, out_channels=8, expand=1 + i, residual=True)
            for i in range(BLOCKS)
        ),
        Classifier(input_size=8, in_channels=8, out_channels=3),
    ),
)
MS = st.floats(0.25, 4.0)


def table(int8: list[float], float32: list[float], crossing_ms: float) -> dict[str, float]:
    values = {one.key: crossing_ms for one in conversions_of(NETWORK)}
    for precision, blocks in zip(PRECISIONS, (float32, int8), strict=True):
        operators = NETWORK.with_precision(precision).operators
        values |= zip((one.key for one in operators), (1.0, *blocks, 1.0), strict=True)
    return values


@settings(max_examples=40, deadline=None)
@given(
    int8=st.lists(MS, min_size=BLOCKS, max_size=BLOCKS),
    float32=st.lists(MS, min_size=BLOCKS, max_size=BLOCKS),
    gains=st.lists(st.floats(-1, 1), min_size=BLOCKS, max_size=BLOCKS),
    crossing_ms=st.floats(0.0, 1.0),
    share=st.floats(1.001, 2.0),
)
def test_the_chosen_mix_is_the_best_of_all_within_the_bound(
    int8: list[float], float32: list[float], gains: list[float], crossing_ms: float, share: float
) -> None:
    values = table(int8, float32, crossing_ms)
    by_block = dict(enumerate(gains, start=1))
    bound_ms = share * fastest_mix(NETWORK, values).mixed_ms
    chosen = most_exact_mix(NETWORK, values, by_block, bound_ms)

    def price(blocks: tuple[int, ...]) -> float:
        return sum(values[one.key] for one in with_float_blocks(NETWORK, blocks).operators)

    every = [
        blocks
        for count in range(BLOCKS + 1)
        for blocks in itertools.combinations(range(1, BLOCKS + 1), count)
    ]
    # sums of the same numbers in another order
    best = max(
        sum(by_block[b] for b in blocks) for blocks in every if price(blocks) <= bound_ms - 1e-9
    )
    assert chosen.mixed_ms <= bound_ms
    assert chosen.mixed_ms == pytest.approx(price(chosen.blocks))
    assert sum(by_block[b] for b in chosen.blocks) >= best - 1e-9


def test_a_bound_that_nothing_meets_is_refused_with_the_fastest() -> None:
    values = table([1.0] * BLOCKS, [2.0] * BLOCKS, 0.5)
    with pytest.raises(UserError, match=r"at most 1\.00 ms: the fastest takes 6\.00 ms"):
        most_exact_mix(NETWORK, values, {}, 1.0)


def test_the_block_that_int8_spoils_is_worth_most() -> None:
    torch.manual_seed(0)
    model = FloatNetwork(NETWORK)
    data = tiny_images(96)
    config = TrainConfig(epochs=4, rising_epochs=0, learning_rate=0.1)
    train(model, TrainingBatches(data, 16, 16, seed=0), config, lambda _: None)
    # One channel of the third block spans 400 times the others; ReLU6 is not homogeneous, so that
    # only its own operator can keep it: its reader undoes the gain.
    spoiled = model.operators[3]
    assert isinstance(spoiled, OperatorModule)
    depthwise, project = spoiled.chain["depthwise"], spoiled.chain["project"]
    assert isinstance(depthwise, ConvLayer)
    assert isinstance(project, ConvLayer)
    with torch.no_grad():
        depthwise.norm.weight.mul_(1e-2)
        depthwise.norm.bias.mul_(1e-2)
        project.weight.mul_(1e2)
        depthwise.norm.bias[0] = 6.0
        project.weight[:, 0] = 0.0
    plain = PlainBatches(data, 16, 32)
    meter = SensitivityMeter(model, plain, PtqConfig(), judged=2)
    found = meter.measure()
    assert found.int8 > 0
    assert max(found.gains, key=lambda block: found.gains[block]) == 3
    assert found.gains[3] > 0.5 * found.int8
    assert meter.distance((1, 2, 3, 4)) < found.int8
