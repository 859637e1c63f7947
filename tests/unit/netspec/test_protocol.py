import pytest
from pydantic import ValidationError

from netspec.protocol import MeasurementProtocol, TargetIdentity
from tests.made_up import identity

IDENTITY = identity(device_model="Pixel 8", affinity="f0")

CHANGES: list[dict[str, object]] = [
    {"device_model": "Pixel 9"},
    {"soc": "Tensor G4"},
    {"os_build": "AP2A.240905.004"},
    {"abi": "armeabi-v7a"},
    {"runtime": "ai-edge-litert 2.3.1"},
    {"runtime_sha256": "ac" * 32},
    {"delegate": "gpu"},
    {"threads": 2},
    {"affinity": "none"},
    {"clock_policy": "locked"},
    {"protocol": MeasurementProtocol(min_runs=11).content_hash},
    {"precision": "int8"},
    {"runner_flags": ("gpu_backend=gl",)},
    {"locked_khz": (2_840_000,)},
    {"locked_gpu_khz": 850_000},
    {"thermal": "steady"},
]


def test_every_controlled_variable_is_in_the_target_id() -> None:
    assert {name for change in CHANGES for name in change} == set(TargetIdentity.model_fields)
    ids = {
        TargetIdentity.model_validate({**IDENTITY.model_dump(), **change}).id
        for change in [{}, *CHANGES]
    }
    assert len(ids) == len(CHANGES) + 1


def test_target_id_survives_json() -> None:
    again = TargetIdentity.model_validate_json(IDENTITY.model_dump_json())
    assert again.id == IDENTITY.id
    assert len(again.id) == 16


def test_label_is_for_people() -> None:
    assert IDENTITY.label == "Pixel 8 · ai-edge-litert 2.3.0 · xnnpack · 1 thread"
    imported = TargetIdentity.model_validate({**IDENTITY.model_dump(), "precision": "int8"})
    assert imported.label == "Pixel 8 · ai-edge-litert 2.3.0 · xnnpack · 1 thread · int8"


def test_a_target_without_a_precision_of_its_own_does_not_speak_of_one() -> None:
    assert "precision" not in IDENTITY.model_dump(mode="json")
    assert IDENTITY.model_copy(update={"threads": 4}).label.endswith(" · 4 threads")


@pytest.mark.parametrize(
    "change",
    [{"runtime_sha256": "AB" * 32}, {"affinity": "0xf0"}, {"threads": 0}, {"serial": "123"}],
)
def test_impossible_identities_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        TargetIdentity.model_validate({**IDENTITY.model_dump(), **change})


@pytest.mark.parametrize("change", [{"warmup_ms": 6.0}, {"measure_ms": 26.0}, {"max_runs": 3}])
def test_every_setting_is_in_the_protocol_hash(change: dict[str, float]) -> None:
    changed = MeasurementProtocol.model_validate(change)
    assert changed.content_hash != MeasurementProtocol().content_hash
