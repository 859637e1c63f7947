from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest
from pydantic import ValidationError

from netspec.networks import Network, mobilenet_v2
from netspec.operators import HeadConv, Precision
from netspec.protocol import MeasurementProtocol
from netspec.statistics import VisitStatistics
from netspec.wire import (
    Calibration,
    Conditions,
    DeviceRegistration,
    JobRequest,
    LeasedTask,
    LeaseRequest,
    ModelSubject,
    NetworkSubject,
    OperatorSubject,
    Profile,
    Snapshot,
    Visit,
)
from tests.made_up import identity, operator_entry

HEAD = HeadConv(input_size=7, in_channels=8, out_channels=16)
NOW = datetime(2025, 1, 2, tzinfo=UTC)


def calibration(precision: Precision, scale: float) -> Calibration:
    return Calibration(
        precision=precision, scale=scale, intercept_ms=0.5, networks=(), held_out=None
    )


def visit() -> Visit:
    return Visit(
        id=UUID(int=1),
        task_id="1",
        device_id="2",
        target_id="ab" * 8,
        subject_hash="cd" * 32,
        round=0,
        started_at=NOW,
        statistics=VisitStatistics.of(np.array([3.0, 4.0])),
        before=Conditions(),
        after=Conditions(),
        raw="",
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


def test_methods_stay_off_the_wire_where_peers_of_before_would_refuse_them() -> None:
    subject = NetworkSubject(network=mobilenet_v2(96, 0.35, 10))
    task = LeasedTask(task_id="1", subject=subject, visits=1)
    request = JobRequest(name="job", target_id="ab" * 8, networks=(subject.network,))
    device = DeviceRegistration(
        agent="here", serial="1", targets=(identity(),), protocol=MeasurementProtocol()
    )
    seen = visit()
    for message in (task, request, device, seen):
        said = message.model_dump(mode="json")
        assert not {"method", "methods", "appearances", "profile"} & said.keys()


def test_methods_and_profiles_go_over_the_wire() -> None:
    subject = NetworkSubject(network=mobilenet_v2(96, 0.35, 10))
    profile = Profile(operators_us=(1.5, 2.0), statistic="p5", count=9, network_us=4.0)
    for message in (
        LeasedTask(task_id="1", subject=subject, visits=1, method="in_network"),
        JobRequest(
            name="job",
            target_id="ab" * 8,
            networks=(subject.network,),
            method="in_network",
            appearances=2,
        ),
        DeviceRegistration(
            agent="here",
            serial="1",
            targets=(identity(),),
            protocol=MeasurementProtocol(),
            methods=("isolated", "in_network"),
        ),
        visit().model_copy(update={"profile": profile}),
    ):
        assert type(message).model_validate_json(message.model_dump_json()) == message


def test_operators_alone_are_not_profiled() -> None:
    with pytest.raises(ValidationError, match="leave `operators`"):
        JobRequest(name="job", target_id="ab" * 8, operators=(HEAD,), method="in_network")


def test_a_profile_of_a_model_names_every_kernel() -> None:
    kernels = Profile(operators_us=(1.0, 2.0), statistic="p5", count=3, kernels=("a", "b"))
    assert Profile.model_validate_json(kernels.model_dump_json()) == kernels
    with pytest.raises(ValidationError, match="1 `kernels` for 2 `operators_us`"):
        Profile(operators_us=(1.0, 2.0), statistic="p5", count=3, kernels=("a",))


@pytest.mark.parametrize(
    ("alone", "partner"),
    [({"enough_percent": 3}, {"budget": 5}), ({"appearances": 2}, {"method": "in_network"})],
)
def test_what_belongs_together_is_not_ignored_alone(
    alone: dict[str, object], partner: dict[str, object]
) -> None:
    job = {"name": "job", "target_id": "0" * 16, "spaces": [{}]}
    JobRequest.model_validate({**job, **alone, **partner})
    (name,), (wanted,) = alone, partner
    with pytest.raises(ValidationError, match=f"`{name}` .*`{wanted}|`{name}` .*`in_network`"):
        JobRequest.model_validate({**job, **alone})


def test_a_job_names_each_size_and_width_of_a_space() -> None:
    job = {"name": "job", "target_id": "0" * 16, "spaces": [{}, {"sizes": [96, 128]}]}
    with pytest.raises(ValidationError, match=r"spaces\.1: a job measures a space at one size"):
        JobRequest.model_validate(job)
