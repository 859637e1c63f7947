"""What a target's table lacks to price a `.tflite` file, measured."""

from __future__ import annotations

from pathlib import Path

from netspec.client import ModelPieces, ModelPrediction, NoTable, ProfilerClient
from netspec.networks import Network, mobilenet_v2
from netspec.operators import Operator
from netspec.wire import Calibration, JobRequest, Snapshot
from search_client.progress import Stages
from search_client.stages.measure import measure

#: visits of each operator and network
ROUNDS = 10
#: widths of the MobileNetV2 that a table without a calibration is calibrated on
_WIDTHS = (0.35, 0.5, 0.75, 1.0)


def measure_file(
    client: ProfilerClient,
    path: Path,
    target: str | None,
    stages: Stages,
    rounds: int = ROUNDS,
) -> ModelPrediction:
    """Measures the operators of a file that the table lacks, publishes, and predicts the file.

    A table without calibration in the file's precision is calibrated on MobileNetV2 in four widths
    at the file's own input size; their operators are measured, too.

    Args:
        client: of the profiler.
        path: of the file.
        target: beginning of the target's id; None: the only one there is.
        stages: shows the progress.
        rounds: visits of each operator and network.

    Raises:
        UnreadableModel: the file is damaged, or has an operator that is no layer.
        InvalidSpec: a layer is like no operator; the message names it.
        JobFailed: something could not be measured.
    """
    pieces = client.model_pieces(path, target)
    published = _published(client, pieces.target.id)
    networks = () if _calibration(published, pieces) else _references(pieces)
    operators: tuple[Operator, ...] = tuple(
        dict.fromkeys(
            [*pieces.lacking(), *(one for network in networks for one in network.operators)]
        )
    )
    chosen = [network.content_hash for network in networks]
    if published is not None:
        chosen += [
            network.subject_hash
            for calibration in published.calibrations
            for network in calibration.networks
        ]
    if operators:
        request = JobRequest(
            name=f"operators of {pieces.name}",
            target_id=pieces.target.id,
            operators=operators,
            rounds=rounds,
        )
        measure(client, request, "operators", stages)
    if networks:
        request = JobRequest(
            name=f"calibration networks for {pieces.name}",
            target_id=pieces.target.id,
            networks=networks,
            rounds=rounds,
        )
        measure(client, request, "calibration networks", stages)
    if operators or networks:
        client.publish(pieces.target.id, list(dict.fromkeys(chosen)))
    return client.predict_model(path, pieces.target.id)


def _published(client: ProfilerClient, target_id: str) -> Snapshot | None:
    try:
        return client.latest_snapshot(target_id)
    except NoTable:
        return None


def _calibration(published: Snapshot | None, pieces: ModelPieces) -> Calibration | None:
    precision = pieces.precision
    return None if published is None or precision is None else published.calibration(precision)


def _references(pieces: ModelPieces) -> tuple[Network, ...]:
    """Networks to calibrate on: none where precisions are mixed, for which nothing calibrates."""
    if pieces.precision is None:
        return ()
    return tuple(
        mobilenet_v2(pieces.input_size, width, precision=pieces.precision) for width in _WIDTHS
    )
