from __future__ import annotations

import numpy as np
import pytest

from netspec.operators import (
    Bottleneck,
    Classifier,
    Convert,
    HeadConv,
    MBConv,
    Operator,
    StemConv,
)
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.features import (
    COLUMNS,
    features,
    weight_bytes,
    work,
)
from profiler_server.latency_model.predictor import (
    LEAST_ENTRIES,
    MOST_ENTRIES,
    OperatorModel,
    TooFewEntries,
)
from tests.unit.netspec.operators.examples import EXAMPLES
from tests.unit.profiler_server.latency_model.machine import SPACE, latency_ms, measured

BLOCK = MBConv(
    input_size=8, in_channels=4, out_channels=4, kernel=5, expand=3, stride=1, residual=True
)


def test_work_by_hand() -> None:
    block = work(BLOCK)
    # 8 * 8 px, 4 -> 12 and 12 -> 4 channels; 25 taps on 12 channels
    assert block.pointwise_macs == 64 * (48 + 48)
    assert block.depthwise_macs == 64 * 25 * 12
    assert block.weights == 48 + 25 * 12 + 48
    assert weight_bytes(BLOCK) == 4 * block.weights
    assert weight_bytes(BLOCK.model_copy(update={"precision": "int8"})) == block.weights
    # in, out, middle written and read on both sides of the depthwise, and the input once more
    assert block.activations == 64 * (4 + 4 + 4 * 12 + 4)
    stem = work(StemConv(input_size=8, in_channels=3, out_channels=2, stride=2))
    assert (stem.macs, stem.weights, stem.activations) == (16 * 54, 54, 64 * 3 + 16 * 2)
    head = work(HeadConv(input_size=4, in_channels=3, out_channels=5))
    assert (head.macs, head.weights) == (16 * 15, 15)
    last = work(Classifier(input_size=4, in_channels=3, out_channels=5))
    # the pooled numbers are written and read
    assert (last.macs, last.activations) == (15, 48 + 3 + 3 + 5)
    convert = work(Convert(input_size=4, in_channels=3, out_channels=3, precision="int8"))
    assert (convert.macs, convert.weights, convert.activations) == (0, 0, 96)


def test_work_of_a_squeezed_block_by_hand() -> None:
    block = work(Bottleneck(input_size=4, in_channels=4, out_channels=6, middle=8, squeeze=2))
    assert block.pointwise_macs == 16 * 32 + 8 * 2 + 2 * 8 + 16 * 48
    assert block.depthwise_macs == 16 * 72
    assert block.weights == 32 + 72 + 16 + 16 + 48
    convolutions = 16 * (4 + 8) + 16 * (8 + 8) + (8 + 2) + (2 + 8) + 16 * (8 + 6)
    assert block.activations == convolutions + 16 * 8 + 8


def test_without_expansion_there_is_one_pointwise_convolution() -> None:
    narrow = work(MBConv(input_size=8, in_channels=4, out_channels=6, expand=1, stride=2))
    assert narrow.pointwise_macs == 16 * 24
    assert narrow.depthwise_macs == 16 * 9 * 4
    assert narrow.activations == 64 * 4 + 16 * 6 + 2 * 16 * 4


def test_every_column_is_named_and_finite() -> None:
    convert = Convert(input_size=4, in_channels=3, out_channels=3)
    operators = [*SPACE.operators(), *EXAMPLES.values(), convert]
    rows = features(operators)
    assert rows.shape == (len(operators), len(COLUMNS))
    assert np.isfinite(rows).all()
    assert BLOCK.family == "mbconv kernel 5"
    assert {one.family for one in SPACE.operators()} == {
        "stem",
        "head",
        "classifier",
        "mbconv kernel 3",
        "mbconv kernel 5",
        "mbconv kernel 7",
    }


def halves() -> tuple[list[Operator], list[Operator]]:
    operators = list(SPACE.operators())
    rng = np.random.default_rng(0)
    ends = [operators[0], *operators[-2:]]
    blocks = [operators[int(at)] for at in rng.permutation(np.arange(1, len(operators) - 2))]
    return [*ends, *blocks[:32]], blocks[32:]


def learnt(entries: list[tuple[Operator, Priced]]) -> OperatorModel:
    return OperatorModel([one for one, _ in entries], [priced for _, priced in entries])


def test_what_was_not_measured_is_predicted_with_an_honest_interval() -> None:
    seen, unseen = halves()
    model = learnt(measured(seen))
    predictions = model.predict(unseen)
    truth = np.array([latency_ms(one) for one in unseen])
    values = np.array([one.value_ms for one in predictions])
    assert np.abs(values / truth - 1).mean() < 0.04
    inside = [one.low_ms <= ms <= one.high_ms for one, ms in zip(predictions, truth, strict=True)]
    assert np.mean(inside) >= 0.85
    assert all(one.low_ms < one.value_ms < one.high_ms for one in predictions)
    # an interval that is always right by being wide would be no help
    assert np.median([one.high_ms / one.low_ms for one in predictions]) < 1.35


def test_a_kind_without_any_entry_is_not_known() -> None:
    seen, unseen = halves()
    model = learnt(measured([one for one in seen if one.family != "mbconv kernel 7"]))
    known = [one for one in unseen if model.knows(one)]
    assert known
    assert known == [one for one in unseen if one.family != "mbconv kernel 7"]
    assert not model.knows(Convert(input_size=8, in_channels=8, out_channels=8))


def test_intervals_hold_where_all_of_a_size_or_width_is_left_out() -> None:
    """Sides and widths in the middle and at both ends, every one left out in turn."""
    operators = [one for one in SPACE.operators() if one.family.startswith("mbconv")]
    inside: list[bool] = []
    for side in {one.output_size for one in operators}:
        rest = [one for one in operators if one.output_size != side]
        model = learnt(measured(rest))
        asked = [one for one in operators if one.output_size == side]
        near = [one for one, reached in zip(asked, model.reaches(asked), strict=True) if reached]
        inside += [
            found.low_ms <= latency_ms(one) <= found.high_ms
            for one, found in zip(near, model.predict(near), strict=True)
        ]
    assert len(inside) > len(operators) / 2
    assert np.mean(inside) >= 0.9


def test_what_is_far_from_all_that_was_measured_is_out_of_reach() -> None:
    seen, unseen = halves()
    model = learnt(measured(seen))
    assert all(model.reaches([one for one in unseen if model.knows(one)]))
    huge = MBConv(input_size=512, in_channels=2048, out_channels=2048, kernel=3, expand=6)
    assert model.knows(huge)
    assert model.reaches([huge]) == [False]
    assert set(model.nearest(huge)) <= set(seen)


def test_a_measured_operator_is_nearest_to_itself() -> None:
    seen, _ = halves()
    model = learnt(measured(seen))
    assert [model.nearest(one)[0] for one in seen] == seen


def test_too_little_to_learn_from() -> None:
    seen, _ = halves()
    few = measured(seen[: LEAST_ENTRIES - 1])
    with pytest.raises(TooFewEntries, match=f"{LEAST_ENTRIES} measured operators, there are 11"):
        learnt(few)
    with pytest.raises(ValueError, match="above 0 ms"):
        OperatorModel(seen, [Priced(0.0, 0.0)] * len(seen))


def test_large_tables_are_thinned_out() -> None:
    operators = [
        MBConv(input_size=size, in_channels=8 * width, out_channels=8, expand=3, kernel=3)
        for size in range(7, 47)
        for width in range(2, 20)
    ]
    assert len(operators) > MOST_ENTRIES
    # The process alone takes most of the time: a table of one kind, without its fit.
    from profiler_server.latency_model.predictor import _thinned  # noqa: PLC0415

    kept = _thinned(operators, [priced for _, priced in measured(operators)])
    assert len(set(kept)) == MOST_ENTRIES
    values = [latency_ms(operators[at]) for at in kept]
    assert values == sorted(values)
    assert values[0] == min(map(latency_ms, operators))
    assert values[-1] == max(map(latency_ms, operators))
