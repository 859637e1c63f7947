"""Examples of bodies, made from their schemas: what must be there, and what people want to see."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from netspec.networks import Network
from netspec.operators import Classifier, HeadConv, MBConv, StemConv
from netspec.protocol import MeasurementProtocol, TargetIdentity

Schema = dict[str, Any]

_PROTOCOL = MeasurementProtocol()
_BLOCK = MBConv(
    input_size=56,
    in_channels=24,
    out_channels=24,
    kernel=5,
    expand=6,
    residual=True,
    precision="int8",
)
_NETWORK = Network(
    name="tiny",
    operators=(
        StemConv(input_size=32, in_channels=3, out_channels=8, stride=2),
        MBConv(input_size=16, in_channels=8, out_channels=8, expand=3, residual=True),
        HeadConv(input_size=16, in_channels=8, out_channels=16),
        Classifier(input_size=16, in_channels=16, out_channels=10),
    ),
)
_TARGET = TargetIdentity(
    device_model="Pixel 1",
    soc="msm8996",
    os_build="QP1A.191005.007.A3",
    abi="arm64-v8a",
    runtime="ai-edge-litert 2.3.0",
    runtime_sha256="ab" * 32,
    delegate="xnnpack",
    threads=1,
    affinity="none",
    clock_policy="free",
    protocol=_PROTOCOL.content_hash,
)
_TIME = "2026-01-02T03:04:05Z"
_WEBHOOK_URL = "https://chat.example.org/hooks/profiler"
_HASH = _BLOCK.content_hash

#: whole messages by the name of their schema
_WHOLE: dict[str, BaseModel] = {
    "MBConv": _BLOCK,
    "StemConv": _BLOCK,
    "Network": _NETWORK,
    "TargetIdentity": _TARGET,
    "MeasurementProtocol": _PROTOCOL,
}
#: values of fields by name, where the schema does not say enough
_VALUES: dict[str, Any] = {
    "id": "job_5f0c9a1b2c3d4e5f",
    "agent": "farm-1",
    "serial": "HT6A1B2C3D4E",
    "name": "proxylessnas 224",
    "target_id": _TARGET.id,
    "source_target_id": "fedcba9876543210",
    "target_ids": [_TARGET.id],
    "device_id": "device_0a1b2c3d4e5f6071",
    "task_id": "task_8f7e6d5c4b3a2910",
    "job_id": "job_5f0c9a1b2c3d4e5f",
    "lease_id": "lease_00112233445566aa",
    "subject_hash": _HASH,
    "snapshot_id": "3f" * 32,
    "sha256": "3f" * 32,
    "images": "3f" * 32,
    "key": _BLOCK.key,
    "subject": _BLOCK.key,
    "kind": "operator",
    "precision": "int8",
    "method": "isolated",
    "value_ms": 1.25,
    "low_ms": 1.21,
    "high_ms": 1.31,
    "sum_ms": 20.5,
    "measured_ms": 21.4,
    "predicted_ms": 21.5,
    "scale": 1.05,
    "intercept_ms": 0.0,
    "visits": 10,
    "visits_done": 6,
    "devices": 2,
    "entries": 142,
    "tasks": 142,
    "tasks_done": 80,
    "tasks_failed": 0,
    "reused": 12,
    "rounds": 10,
    "round": 3,
    "fence": 17,
    "max_tasks": 500,
    "wait_s": 30.0,
    "ttl_s": 60.0,
    "lease_ttl_s": 60.0,
    "renew_every_s": 8.0,
    "eta_s": 312.5,
    "count": 10,
    "raw": "10 runs",
    "reason": "thermal status 2",
    "scopes": ["agent"],
    "token": "pfs_0123456789ABCDEFGHIJKLMNOPQRSTUV000000",
    "overlap_s": 86_400.0,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq=",
    "message_id": "msg_42",
    "state": "pending",
    "kinds": ["job_finished", "task_failed"],
    "last_error": "",
    "disabled_reason": "",
    "status": "ok",
    "min_us": 1_210.0,
    "p5_us": 1_215.0,
    "median_us": 1_240.0,
    "p95_us": 1_300.0,
    "mean_us": 1_250.0,
    "std_us": 25.0,
    "networks": 5,
    "mape_percent": 1.2,
    "bias_percent": 0.1,
    "worst_percent": 2.3,
}
#: fields that a reader should see, though they may be left out
_SHOWN = frozenset({"network", "operators", "rounds", "max_tasks", "wait_s", "labels", "target_id"})
#: where one name means different things
_VALUES_OF: dict[str, dict[str, Any]] = {
    "HeldOutError": {"networks": 5},
    "VisitReceipt": {"id": "6f1c1d9e-6a0a-4c0e-9d55-0d2b5b7d3c11"},
    "Visit": {"id": "6f1c1d9e-6a0a-4c0e-9d55-0d2b5b7d3c11"},
    "Snapshot": {"id": "3f" * 32},
    "Target": {"id": _TARGET.id},
    "Device": {"id": "device_0a1b2c3d4e5f6071"},
    "RegisteredDevice": {"id": "device_0a1b2c3d4e5f6071"},
    "TokenInfo": {"id": "token_5f0c9a1b2c3d4e5f", "name": "farm-1"},
    "TokenRequest": {"name": "farm-1"},
    "Webhook": {"id": "webhook_5f0c9a1b2c3d4e5f", "name": "to the chat", "url": _WEBHOOK_URL},
    "WebhookRequest": {"url": _WEBHOOK_URL},
    "Delivery": {"id": 42, "kind": "job_created"},
    "Lease": {"id": "lease_00112233445566aa"},
}
_BY_TYPE: dict[str, Any] = {"integer": 1, "number": 1.0, "boolean": True, "string": "text"}


class Examples:
    """Examples of the schemas of one OpenAPI document."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._schemas = schemas

    def of(self, schema: Schema, field: str = "", owner: str = "") -> Any:
        """An example of a schema.

        Args:
            schema: of a body or a field.
            field: its name, if it is a field.
            owner: the schema that it is a field of.
        """
        if "$ref" in schema:
            return self._of_name(schema["$ref"].rsplit("/", 1)[-1])
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                return self.of(schema[choice][0], field, owner)
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        if kind == "array":
            known = _VALUES.get(field)
            made = [self.of(schema["items"], field, owner)] * max(1, schema.get("minItems", 1))
            return known if isinstance(known, list) else made
        if kind == "object":
            return self._of_object(schema, owner)
        return self._of_value(schema, field, owner)

    def _of_name(self, name: str) -> Any:
        whole = _WHOLE.get(name)
        if whole is not None:
            return whole.model_dump(mode="json")
        return self._of_object(self._schemas[name], name)

    def _of_object(self, schema: Schema, name: str) -> Any:
        if "properties" not in schema:
            return {"rack": "b3"} if "additionalProperties" in schema else {}
        shown = {*schema.get("required", ()), *(_SHOWN & set(schema["properties"]))}
        return {
            field: self.of(inner, field, name)
            for field, inner in schema["properties"].items()
            if field in shown or "const" in inner
        }

    def _of_value(self, schema: Schema, field: str, owner: str) -> Any:
        by_owner = _VALUES_OF.get(owner, {})
        if field in by_owner:
            return by_owner[field]
        choices = schema.get("enum")
        if choices is not None:
            return _VALUES[field] if _VALUES.get(field) in choices else choices[0]
        if schema.get("format") == "date-time":
            return _TIME
        if schema.get("format") == "uuid":
            return _VALUES_OF["Visit"]["id"]
        usual = _BY_TYPE[schema["type"]]
        known = _VALUES.get(field, usual)
        return known if isinstance(known, type(usual)) else usual
