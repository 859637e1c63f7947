"""Synthetic test data: a report whose every number is made up by a formula.

Nothing here was measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from netspec.networks import Network, mobilenet_v2
from netspec.operators import PRECISIONS, MBConv, Operator, Precision
from netspec.sampling import stratified_networks
from netspec.spaces import Space, Stage
from netspec.wire import Calibration, CalibrationNetwork, Entry, HeldOutError, TargetRepeatability
from search_client.report.content import (
    DeployedModel,
    Derivation,
    NetworkResult,
    Provenance,
    Report,
    SearchPoint,
    SearchRecord,
)
from tests.made_up import identity

WHEN = datetime(2001, 2, 3, 4, 5, tzinfo=UTC)
SCALE: dict[Precision, float] = {"float32": 1.06, "int8": 1.09}
#: (network, precision) -> made-up relative error of the prediction
ERRORS = {
    ("searched", "float32"): 0.021,
    ("searched", "int8"): -0.016,
    ("baseline", "float32"): -0.008,
    ("baseline", "int8"): 0.012,
}


def small_space() -> Space:
    return Space(
        input_size=64,
        width=0.5,
        classes=10,
        stages=(
            Stage(channels=24, depth=2, stride=2),
            Stage(channels=40, depth=3, stride=2),
            Stage(channels=96, depth=2, stride=2),
        ),
    )


#: of a page that is drawn in a third of the time
TINY = Space(input_size=32, width=0.5, classes=10, stages=(Stage(channels=24, depth=2, stride=2),))


def cost_ms(operator: Operator) -> float:
    """A made-up latency that grows with the operator's multiplications."""
    pixels = operator.output_size**2
    macs = pixels * operator.in_channels * operator.out_channels
    if isinstance(operator, MBConv):
        middle = operator.middle_channels
        macs = operator.input_size**2 * operator.in_channels * middle
        macs += pixels * middle * (operator.kernel**2 + operator.out_channels)
    speed = 2e7 if operator.precision == "int8" else 9e6
    slow = 3.0 if getattr(operator, "kernel", 1) == 7 else 1.0
    return 0.004 + slow * macs / speed


def _sum_ms(network: Network, precision: Precision) -> float:
    return sum(cost_ms(operator) for operator in network.with_precision(precision).operators)


def deployed(network: Network, role: str, precision: Precision) -> DeployedModel:
    predicted = SCALE[precision] * _sum_ms(network, precision)
    measured = predicted / (1 + ERRORS[role, precision])
    return DeployedModel(
        precision=precision,
        file=f"{role}-{precision}.tflite",
        sha256=("ab" if role == "searched" else "cd") * 32,
        predicted_ms=predicted,
        measured_ms=measured,
        measured_low_ms=0.994 * measured,
        measured_high_ms=1.011 * measured,
        prediction_error_percent=100 * ERRORS[role, precision],
        operator_ms=tuple(
            cost_ms(operator) for operator in network.with_precision(precision).operators
        ),
    )


def result(network: Network, role: str, accuracy: float) -> NetworkResult:
    models = tuple(deployed(network, role, precision) for precision in PRECISIONS)
    return NetworkResult(
        network=network,
        expected_ms=1.03 * models[1].predicted_ms if role == "searched" else None,
        predicted_ms={model.precision: model.predicted_ms for model in models},
        measured_ms={model.precision: model.measured_ms for model in models},
        accuracy_float=accuracy + 0.004,
        accuracy_int8=accuracy,
        images_float=2000,
        images_int8=2000,
        int8_top1_agreement=0.9975 if role == "searched" else 0.9962,
        int8_tied_agreement=1.0,
        int8_max_steps=1 if role == "searched" else 2,
        float32_max_difference=3.1e-06,
        models=models,
    )


def point(space: Space, choices: Sequence[int], index: int, count: int) -> SearchPoint:
    share = index / (count - 1)
    warm = share < 0.25
    pull = 0.0 if warm else 5 * (share - 0.25)
    probabilities = []
    for block, choice in zip(space.blocks, choices, strict=True):
        weights = [math.exp(pull if i == choice else 0.2 * i * share) for i in range(block.choices)]
        probabilities.append(tuple(weight / sum(weights) for weight in weights))
    return SearchPoint(
        step=10 * (index + 1),
        phase="warm-up" if warm else "joint",
        loss=0.4 + 1.9 * math.exp(-3 * share) + 0.03 * math.sin(9 * index),
        accuracy=0.93 - 0.8 * math.exp(-4 * share),
        expected_ms=0.55 + 0.5 * math.exp(-pull),
        probabilities=tuple(probabilities),
    )


def calibration(space: Space, precision: Precision) -> Calibration:
    networks = []
    costs_ms = {operator.key: cost_ms(operator) for operator in space.operators()}
    for index, network in enumerate(stratified_networks(space, costs_ms, count=5, seed=1)):
        sum_ms = _sum_ms(network, precision)
        networks.append(
            CalibrationNetwork(
                name=network.name,
                subject_hash=network.content_hash,
                sum_ms=sum_ms,
                measured_ms=SCALE[precision] * sum_ms * (1 + 0.01 * (index - 2)),
                held_out_ms=SCALE[precision] * sum_ms * (1 + 0.003 * (index - 2)),
            )
        )
    return Calibration(
        precision=precision,
        scale=SCALE[precision],
        intercept_ms=0.0,
        networks=tuple(networks),
        held_out=HeldOutError(
            networks=5, mape_percent=1.37, bias_percent=-0.24, worst_percent=2.58
        ),
        interval_factor=1.04,
    )


def entries(space: Space) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            subject_hash=operator.content_hash,
            kind="operator",
            name=operator.key,
            precision=operator.precision,
            method="isolated",
            value_ms=cost_ms(operator),
            low_ms=0.99 * cost_ms(operator),
            high_ms=1.02 * cost_ms(operator),
            visits=12,
            measured_at=WHEN,
        )
        for precision in PRECISIONS
        for operator in space.with_precision(precision).operators()
    )


@cache
def report(
    space: Space | None = None, *, name: str = "searched net", baseline: str = "mobilenet"
) -> Report:
    space = space or small_space()
    choices = tuple(
        block.choices - 1
        if block.skippable and index % 3 == 1
        else (5 * index + 1) % len(block.candidates)
        for index, block in enumerate(space.blocks)
    )
    table = entries(space)
    other = mobilenet_v2(space.input_size, space.width, space.classes)
    other = Network(name=baseline, operators=other.operators)
    return Report(
        created_at=WHEN,
        target="0123456789abcdef",
        identity=identity(
            device_model="Synthetic phone",
            soc="made-up SoC",
            os_build="os 1",
            affinity="f0",
            clock_policy="fixed_performance",
        ),
        snapshot="56" * 32,
        entries=len(table),
        entries_reused=17,
        latency_ref_ms=0.6,
        searched=result(space.network(choices, name), "searched", 0.941),
        baseline=result(other, "baseline", 0.927),
        prediction_error_percent=2.1,
        int8_top1_agreement=0.9962,
        calibrations=tuple(calibration(space, precision) for precision in PRECISIONS),
        search=SearchRecord(
            space=space,
            precision="int8",
            latency_loss="absolute",
            points=tuple(point(space, choices, index, 120) for index in range(120)),
            choices=choices,
            architecture_steps=90,
            gradient_snr=0.4,
            derivation=Derivation(
                rule="on_target",
                tolerance=0.01,
                log_probability=-3.2,
                predicted_ms=0.604,
                likeliest_ms=0.655,
            ),
        ),
        table=table,
        seconds={"profile": 93.2, "search": 151.0, "train": 120.4, "quantize": 31.7, "measure": 20},
        versions={"torch": "2.13.0", "ai-edge-litert": "2.3.0", "proxyless-farm": "0.1.0"},
        provenance=Provenance(
            command="search-client search --data images --run runs/one",
            recipe={"seed": 12, "precision": "int8"},
            data="/data/images",
            fingerprint="78" * 32,
            training_images=12_000,
            test_images=2_000,
            processes=1,
        ),
        repeatability=TargetRepeatability(
            target_id="0123456789abcdef",
            subjects=20,
            sessions=60,
            visits_median=10,
            hours_median=24,
            entry_cv_median=0.01,
            consecutive_median_percent=0.512,
            consecutive_p90_percent=2.004,
        ),
    )
