"""What a run found: the content of `report.json`, from which `report.html` is drawn."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime

from netspec.networks import Network
from netspec.operators import Precision
from netspec.protocol import TargetIdentity
from netspec.spaces import Space
from netspec.validation import FrozenModel
from netspec.wire import Calibration, Entry, TargetRepeatability

SearchPhase = Literal["warm-up", "joint"]


class DeployedModel(FrozenModel):
    """One network as a `.tflite` file in one precision, predicted and measured."""

    precision: Precision
    #: name of the file in the run's folder
    file: str
    sha256: str
    #: calibrated sum of the table's entries
    predicted_ms: float
    measured_ms: float
    #: 95 % bootstrap interval of the measured value
    measured_low_ms: float
    measured_high_ms: float
    #: 100 * (predicted - measured) / measured
    prediction_error_percent: float
    #: of each operator, in the network's order: its entry (ms) times its factor in the calibration
    operator_ms: tuple[float, ...]
    #: in what the network is unlike all that the table is calibrated on, in words
    unlike: tuple[str, ...] = ()


class DeviceResult(FrozenModel):
    """What an int8 file gives for test images on the target's device."""

    images: int
    #: top-1 of them, 0 to 1
    accuracy: float
    #: share for which LiteRT on the run's own machine chooses the same class
    agreement: float


class NetworkResult(FrozenModel):
    """A network taken through training, quantization-aware finetuning and measurement."""

    network: Network
    #: what the training of the float network began from: drawn weights, or the supernet's
    start: Literal["scratch", "supernet"] = "scratch"
    #: of that training; None: as many as the recipe says
    epochs: int | None = None
    #: E[LAT] at the end of the search, for the searched network alone
    expected_ms: float | None
    predicted_ms: dict[Precision, float]
    measured_ms: dict[Precision, float]
    #: top-1 on the test set, 0 to 1: the trained float network in torch
    accuracy_float: float
    #: top-1 on the test set, 0 to 1: the int8 `.tflite` file in LiteRT
    accuracy_int8: float
    #: test images of `accuracy_float` and of `accuracy_int8`; None in reports of before
    images_float: int | None = None
    images_int8: int | None = None
    #: None where the recipe asks for none, or the device could not
    on_device: DeviceResult | None = None
    #: share of test images for which the int8 file and fake quantization agree on the class
    int8_top1_agreement: float
    #: the same where classes that torch has within `verify.TIE_STEPS` of each other are tied
    int8_tied_agreement: float
    #: greatest difference between the int8 file and fake quantization, in output steps
    int8_max_steps: int
    #: greatest absolute difference between the float32 file and torch
    float32_max_difference: float
    models: tuple[DeployedModel, ...]


class SearchPoint(FrozenModel):
    """One moment of the search."""

    #: weight steps so far
    step: int
    phase: SearchPhase
    #: cross-entropy of the weight steps since the last point
    loss: float
    #: top-1 on the training batches since the last point, 0 to 1
    accuracy: float
    #: E[LAT] in ms, calibrated
    expected_ms: float
    #: softmax(alpha), [block][choice]; Zero is the last choice where there is one; empty while
    #: another width than the one found was the likeliest
    probabilities: tuple[tuple[float, ...], ...]


class Derivation(FrozenModel):
    """How one network was taken out of the final probabilities."""

    rule: Literal["argmax", "on_target"]
    #: of `on_target`: greatest |latency / reference - 1|
    tolerance: float
    #: natural logarithm of the network's probability
    log_probability: float
    #: calibrated sum of entries, ms: of the network, and of the likeliest one
    predicted_ms: float
    likeliest_ms: float


class EnergyOutcome(FrozenModel):
    """What a search came to by energy."""

    reference_mj: float
    #: of energy's loss; 1 is energy alone
    weight: float
    #: of the final probabilities, and of the network found
    expected_mj: float
    found_mj: float


class SearchRecord(FrozenModel):
    """How the search went and what it chose."""

    space: Space
    #: precision whose latency was in the loss
    precision: Precision
    latency_loss: str
    points: tuple[SearchPoint, ...]
    #: choice of each block of the network found
    choices: tuple[int, ...]
    architecture_steps: int = 0
    #: of the gradient of alpha in one architecture step; None where there were fewer than two
    gradient_snr: float | None = None
    #: None in reports of before
    derivation: Derivation | None = None
    #: None: energy was not in the loss
    energy: EnergyOutcome | None = None


class Ranking(FrozenModel):
    """How the supernet's scores of random networks agree with training each alone."""

    networks: int
    #: Kendall's tau-b
    tau: float


class Provenance(FrozenModel):
    """What it takes to make the run again."""

    #: as it was given to a shell
    command: str
    #: every setting of the run
    recipe: dict[str, Any]
    #: path of the images, and the hash of what was trained on
    data: str
    fingerprint: str
    training_images: int
    test_images: int
    #: processes that searched together
    processes: int


class Report(FrozenModel):
    """A whole run."""

    created_at: AwareDatetime
    target: str
    identity: TargetIdentity
    #: id of the table snapshot
    snapshot: str
    #: number of entries in the table
    entries: int
    #: entries that were fresh and not measured again
    entries_reused: int
    latency_ref_ms: float
    searched: NetworkResult
    baseline: NetworkResult
    #: further MobileNetV2, at other sizes and widths
    further: tuple[NetworkResult, ...] = ()
    #: greatest |predicted - measured| / measured over all networks and precisions, in percent
    prediction_error_percent: float
    #: the least of the networks'
    int8_top1_agreement: float
    calibrations: tuple[Calibration, ...]
    search: SearchRecord
    #: the table's entries of the space, in both precisions
    table: tuple[Entry, ...]
    #: wall time in s by stage, in order
    seconds: dict[str, float]
    #: versions of what made the run: torch, the runtime, this package
    versions: dict[str, str]
    #: None in reports of before
    provenance: Provenance | None = None
    #: None where `search-client rank` was not run
    ranking: Ranking | None = None
    #: how well latencies of the target repeat; None where the profiler is of a version before
    repeatability: TargetRepeatability | None = None
