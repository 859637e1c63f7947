"""Entries, calibrations, snapshots, look-ups and predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from netspec.networks import MAX_NAME, Network
from netspec.operators import (
    Convert,
    Operator,
    OperatorBase,
    Precision,
    Side,
    content_hash,
)
from netspec.protocol import Sha256, TargetId, TargetIdentity
from netspec.wire.calibrations import Calibration, HeldOutError
from netspec.wire.message import MAX_LOOKED_UP, Message, Milliseconds
from netspec.wire.outputs.energy import EnergyMeter, EnergyValue, Millijoules

#: an operator's canonical key
OperatorKey = Annotated[str, Field(min_length=1, max_length=500)]
#: operators of an assembly
MOST_ASSEMBLED = 2_000
#: operators that a text names
_MOST_NAMED = 3


Method = Literal["isolated", "in_network", "imported", "fitted"]


class Entry(Message):
    """A table's value for an operator, or the measured value of a network or model."""

    subject_hash: Sha256
    kind: Literal["operator", "network", "model"]
    #: an operator's canonical key, a network's or model's name
    name: str
    precision: Precision | None
    method: Method
    value_ms: Milliseconds
    #: 95 % bootstrap interval
    low_ms: Milliseconds
    high_ms: Milliseconds
    visits: int
    measured_at: AwareDatetime
    #: how many devices its visits are of
    devices: int = 1
    #: by how much the highest of the devices' own estimates exceeds the lowest; None for one
    disagreement_percent: float | None = None
    #: the target whose entry this is, times a factor; only where the method is `fitted`
    fitted_from: Annotated[TargetId | None, Field(exclude_if=lambda value: value is None)] = None
    #: its devices are not of one mind: it is in no snapshot, sum or look-up
    held_back: Annotated[bool, Field(exclude_if=lambda value: not value)] = False
    #: of a visit's runs the median one, the 95th percentile and the standard deviation, each the
    #: median over the accepted visits; these and the next three are None where no visit of it by
    #: itself says so
    median_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = None
    p95_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = None
    std_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = None
    #: from the file to a model that is ready to run, median over the accepted visits
    load_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = None
    #: the very first inference, median over the accepted visits
    first_inference_ms: Annotated[
        Milliseconds | None, Field(exclude_if=lambda value: value is None)
    ] = None
    #: by which the peak resident memory of the runner's process grew, median over the accepted
    #: visits
    peak_memory_bytes: Annotated[
        int | None, Field(ge=0, exclude_if=lambda value: value is None)
    ] = None
    #: of an inference, by the meter that measured most of the target's subjects; None: not measured
    energy: Annotated[EnergyValue | None, Field(exclude_if=lambda value: value is None)] = None


class TargetEntry(Entry):
    """An entry that says itself what it is true for."""

    target_id: TargetId
    identity: TargetIdentity
    #: images that a run takes
    batch: Literal[1] = 1
    #: the target's latest snapshot, whose calibration maps sums of entries to whole networks
    snapshot_id: Sha256 | None


class LatencyLookup(Message):
    """A question for many operators' entries on one target, each by its fields or by its key."""

    target_id: TargetId
    operators: Annotated[tuple[Operator, ...], Field(max_length=MAX_LOOKED_UP)] = ()
    #: canonical keys, as tables and exports have them; answered behind `operators`
    keys: Annotated[
        tuple[OperatorKey, ...],
        Field(max_length=MAX_LOOKED_UP, exclude_if=lambda value: not value),
    ] = ()

    @model_validator(mode="after")
    def _asks_for_some(self) -> Self:
        if not 0 < len(self.operators) + len(self.keys) <= MAX_LOOKED_UP:
            raise ValueError(
                f"name between 1 and {MAX_LOOKED_UP} in `operators` and `keys` together, "
                f"got {len(self.operators) + len(self.keys)}"
            )
        return self


class PredictedLatency(Message):
    """The latency of an operator without entry, as a model of the target's entries has it."""

    value_ms: Milliseconds
    #: 95 % prediction interval
    low_ms: Milliseconds
    high_ms: Milliseconds


class LookedUpLatency(Message):
    """What the table says of one operator.

    `stale`: measured longer ago than the server's freshness setting; `missing`: no entry;
    `predicted`: no entry either, but a prediction, where the question allowed it.
    """

    #: the operator's canonical key
    key: str
    state: Literal["hit", "stale", "missing", "predicted"]
    #: None where it is missing or predicted
    entry: Entry | None
    #: only where it is predicted
    predicted: PredictedLatency | None = None
    #: only where a prediction was allowed, but the operator is too far from all that was measured:
    #: keys of the measured ones most like it, the nearest first
    nearest: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()
    #: it is measured, but by devices that are not of one mind: so it has no entry to go by
    held_back: Annotated[bool, Field(exclude_if=lambda value: not value)] = False


class LookedUpLatencies(Message):
    """One answer an operator, in the order of the question."""

    target_id: TargetId
    latencies: tuple[LookedUpLatency, ...]


class TargetLatencies(LookedUpLatencies):
    """Answers that say themselves what they are true for."""

    identity: TargetIdentity
    #: images that a run takes
    batch: Literal[1] = 1
    #: the target's latest snapshot, whose calibration maps sums of these to whole networks
    snapshot_id: Sha256 | None


class PublishRequest(Message):
    """Freeze a target's table as a snapshot."""

    #: content hashes of the measured networks to calibrate on; None: all of them
    calibrate_on: Annotated[tuple[Sha256, ...], Field(max_length=500)] | None = None


class Snapshot(Message):
    """An immutable table. Its id is the hash of its content, and its ETag."""

    id: Sha256
    target_id: TargetId
    identity: TargetIdentity
    created_at: datetime
    #: operators only, sorted by name
    entries: tuple[Entry, ...]
    calibrations: tuple[Calibration, ...]
    #: keys of the operators that are measured, but by devices that are not of one mind
    held_back: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()

    @cached_property
    def values_ms(self) -> dict[str, float]:
        """Entry value (ms) by canonical key, corrected by its precision's calibration."""
        factors = {
            key: factor
            for calibration in self.calibrations
            for key, factor in calibration.factors.items()
        }
        return {entry.name: entry.value_ms * factors.get(entry.name, 1.0) for entry in self.entries}

    def calibration(self, precision: Precision) -> Calibration | None:
        """The calibration of one precision, None where no network was measured."""
        return next((c for c in self.calibrations if c.precision == precision), None)


def precision_of(operators: Iterable[OperatorBase]) -> Precision | None:
    """The precision of all operators but conversions, None where it is mixed."""
    precisions = {one.precision for one in operators if not isinstance(one, Convert)}
    return precisions.pop() if len(precisions) == 1 else None


class Assembly(Message):
    """Operators that make up a network together, in any order; a `Network` is a chain of them.

    So a network that branches can be priced, as one that was read from a file.
    """

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    operators: Annotated[tuple[Operator, ...], Field(min_length=1, max_length=MOST_ASSEMBLED)]

    @property
    def precision(self) -> Precision | None:
        """The precision of all operators but conversions, None where it is mixed."""
        return precision_of(self.operators)

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the operators' canonical JSON, in the order of their keys."""
        ordered = sorted(self.operators, key=lambda operator: operator.key)
        return content_hash([operator.model_dump(mode="json") for operator in ordered])


class PredictRequest(Message):
    """A question for the latency of a whole network: a chain, an assembly, or a published file."""

    network: Annotated[Network | None, Field(exclude_if=lambda value: value is None)] = None
    assembly: Annotated[Assembly | None, Field(exclude_if=lambda value: value is None)] = None
    #: a `net.config` of ProxylessNAS or Once-for-all, as it is
    config: Annotated[dict[str, Any] | None, Field(exclude_if=lambda value: value is None)] = None
    #: of the `config`, px; it may be left out for ProxylessNAS's, which are of 224
    input_size: Annotated[Side | None, Field(exclude_if=lambda value: value is None)] = None
    #: of the `config`; float32 if left out
    precision: Annotated[Precision | None, Field(exclude_if=lambda value: value is None)] = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(one is not None for one in (self.network, self.assembly, self.config)) != 1:
            raise ValueError("give one of `network`, `assembly` and `config`")
        if self.config is None and (self.input_size or self.precision):
            raise ValueError("`input_size` and `precision` are the `config`'s; leave them out")
        return self


class PredictedEnergy(Message):
    """A network's energy of an inference, as the table predicts it."""

    value_mj: Millijoules
    #: by which its operators were measured
    meter: EnergyMeter
    #: False: no whole network's energy was measured, so that it is the plain sum
    scaled: bool
    #: the scale's error
    held_out: HeldOutError | None


class Prediction(Message):
    """A network's latency as the table predicts it."""

    target_id: TargetId
    #: the network's name and content hash
    name: str
    subject_hash: Sha256
    precision: Precision
    #: sum of the operators' entries as they are now, each times the calibration's factor
    sum_ms: Milliseconds
    predicted_ms: Milliseconds
    #: False: no whole network is known in this precision, so that `predicted_ms` is the plain sum;
    #: networks take several percent more or less
    calibrated: bool = True
    #: 95 % prediction interval; None where too few networks were measured to tell
    low_ms: Milliseconds | None = None
    high_ms: Milliseconds | None = None
    #: the latest snapshot, whose calibration maps the sum; None: nothing is published
    snapshot_id: Sha256 | None
    #: that calibration's error
    held_out: HeldOutError | None
    #: keys of operators measured longer ago than the server's freshness setting
    stale: tuple[str, ...]
    #: keys of operators without entry, whose latency a model of the others gave
    predicted: tuple[str, ...] = ()
    #: share of the sum that these are, 0 to 1
    predicted_share: Annotated[float, Field(ge=0, le=1, exclude_if=lambda value: not value)] = 0.0
    #: keys of operators whose entry is another than when the calibration was fitted, or is new:
    #: of these the calibration knows nothing; publish again
    changed: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()
    #: by how much the sum has moved by entries that are no longer what they were, percent
    changed_percent: Annotated[
        float, Field(allow_inf_nan=False, exclude_if=lambda value: not value)
    ] = 0.0
    #: what the network has that none of those has that the calibration was fitted on, in words: its
    #: stated error and interval were found on such as these
    unlike: Annotated[tuple[str, ...], Field(exclude_if=lambda value: not value)] = ()
    #: None: the energy of some operator was not measured
    energy: Annotated[PredictedEnergy | None, Field(exclude_if=lambda value: value is None)] = None

    @property
    def caveats(self) -> tuple[str, ...]:
        """What to know before going by it, a line each; empty: nothing."""
        said = []
        if self.predicted:
            share = f"{self.predicted_share:.1%} of the sum"
            said.append(f"predicted, not measured: {share} ({_named(self.predicted)})")
        if self.stale:
            said.append(f"measured longer ago than the server trusts: {_named(self.stale)}")
        if self.changed:
            said.append(
                f"the calibration is older than {len(self.changed)} of the entries "
                f"({_named(self.changed)}), which have moved the sum by "
                f"{self.changed_percent:+.1f} %; publish the table again"
            )
        said += [f"unlike the networks calibrated on: {one}" for one in self.unlike]
        return tuple(said)


def _named(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    return f"{', '.join(keys[:_MOST_NAMED])}{more}"


class TransferRequest(Message):
    """Fill a target's table from another one's, if what both have measured agrees."""

    source_target_id: TargetId
    #: mean error of entries transferred by a factor, up to which the two targets agree
    within_percent: Annotated[float, Field(gt=0, le=100)] = 5.0
    #: measure operators of the source on the target first, until so many of each precision are
    #: measured on both; 0: what is measured on both decides
    measure: Annotated[int, Field(ge=0, le=500)] = 0


class TransferOfPrecision(Message):
    """How two targets compare in one precision."""

    precision: Precision
    #: operators measured on both
    shared: int
    #: target over source, the median
    factor: float
    #: of entries times the factor, each left out once
    mape_percent: float
    worst_percent: float
    #: key of the operator with the worst error
    worst_operator: str
    #: entries that the target has got
    filled: int


class Transfer(Message):
    """What became of a transfer.

    `measuring`: ask again when the job is done; `filled`: the target has entries of the method
    `fitted` now, wherever it had none, and its table with them is published; `refused`: the targets
    differ by more than was allowed in some precision, and that one was left alone.
    """

    source_target_id: TargetId
    target_id: TargetId
    state: Literal["measuring", "filled", "refused"]
    #: that measures, while it does
    job_id: str | None = None
    precisions: tuple[TransferOfPrecision, ...] = ()
    #: that was published with what was filled in; None: nothing was
    snapshot_id: Annotated[Sha256 | None, Field(exclude_if=lambda value: value is None)] = None
