from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from netspec.networks import Network, mobilenet_v2
from netspec.operators import HeadConv, Precision
from netspec.wire import (
    Calibration,
    JobRequest,
    LeasedTask,
    LeaseRequest,
    ModelSubject,
    NetworkSubject,
    OperatorSubject,
    Snapshot,
)
from tests.made_up import identity, operator_entry

HEAD = HeadConv(input_size=7, in_channels=8, out_channels=16)
NOW = datetime(2025, 1, 2, tzinfo=UTC)


def calibration(precision: Precision, scale: float) -> Calibration:
    return Calibration(
        precision=precision, scale=scale, intercept_ms=0.5, networks=(), held_out=None
    )


@pytest.mark.parametrize(
    ("subject", "content_hash", "name", "precision"),
    [
        (OperatorSubject(operator=HEAD), HEAD.content_hash, HEAD.key, "float32"),
        (
            NetworkSubject(network=mobilenet_v2(96, 0.35, 10, "int8")),
            mobilenet_v2(96, 0.35, 10, "int8").content_hash,
            "mobilenet_v2 96-0.35",
            "int8",
        ),
        (ModelSubject(sha256="ab" * 32, name="mine"), "ab" * 32, "mine", None),
    ],
)
def test_subjects_have_identity_name_and_precision(
    subject: OperatorSubject | NetworkSubject | ModelSubject,
    content_hash: str,
    name: str,
    precision: Precision | None,
) -> None:
    assert (subject.content_hash, subject.name, subject.precision) == (
        content_hash,
        name,
        precision,
    )
    task = LeasedTask(task_id="1", subject=subject, visits=1)
    assert LeasedTask.model_validate_json(task.model_dump_json()) == task


def test_a_network_of_both_precisions_has_none() -> None:
    after = HeadConv(input_size=7, in_channels=16, out_channels=8, precision="int8")
    mixed = Network(name="mixed", operators=(HEAD, after))
    assert NetworkSubject(network=mixed).precision is None


def test_unknown_fields_and_impossible_values_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        JobRequest.model_validate({"name": "a", "target_id": "0" * 16, "colour": "red"})
    with pytest.raises(ValidationError, match="target_id"):
        JobRequest(name="a", target_id="0123")
    with pytest.raises(ValidationError, match="wait_s"):
        LeaseRequest(device_id="d", wait_s=31)
    with pytest.raises(ValidationError, match="value_ms"):
        operator_entry(HEAD, float("nan"))


def test_calibration_is_linear() -> None:
    assert calibration("float32", 1.1).predict_ms(20.0) == pytest.approx(22.5)


def test_a_snapshot_looks_up_by_key_and_precision() -> None:
    int8 = HEAD.with_precision("int8")
    snapshot = Snapshot(
        id="cd" * 32,
        target_id=identity().id,
        identity=identity(),
        created_at=NOW,
        entries=(operator_entry(HEAD, 1.5), operator_entry(int8, 0.5)),
        calibrations=(calibration("int8", 1.2),),
    )
    assert snapshot.values_ms == {HEAD.key: 1.5, int8.key: 0.5}
    assert snapshot.calibration("int8") == calibration("int8", 1.2)
    assert snapshot.calibration("float32") is None
    assert Snapshot.model_validate_json(snapshot.model_dump_json()) == snapshot
