"""The problems that each operation can answer with, by its id."""

from __future__ import annotations

from typing import Any

from profiler_server.kit.problems import KINDS, MEDIA_TYPE

_SCHEMA = {"$ref": "#/components/schemas/Problem"}

#: beside those that every operation of its kind has
OWN: dict[str, tuple[str, ...]] = {
    "healthz": (),
    "readyz": ("not-ready",),
    "get_metrics": (),
    "register_device": ("foreign-device", "outside-labels", "protocol-mismatch"),
    "list_devices": (),
    "label_device": ("unknown-device", "foreign-device", "outside-labels"),
    "get_device": ("unknown-device",),
    "quarantine_device": ("unknown-device", "foreign-device"),
    "release_device": ("unknown-device",),
    "list_targets": (),
    "get_target": ("unknown-target",),
    "delete_target": ("unknown-target", "not-the-owner", "target-in-use"),
    "list_predecessors": ("unknown-target",),
    "get_repeatability": ("unknown-target",),
    "latest_snapshot": ("unknown-target", "unknown-snapshot", "not-acceptable"),
    "get_snapshot": ("unknown-snapshot", "not-acceptable"),
    "publish_snapshot": ("unknown-target", "empty-table", "not-calibratable", "not-acceptable"),
    "get_latency": ("unknown-target", "missing-entry"),
    "get_entry": ("unknown-target", "missing-entry"),
    "list_visits": ("unknown-target",),
    "list_disagreement": ("unknown-target",),
    "look_up_latencies": ("unknown-target",),
    "get_latencies": ("unknown-target",),
    "predict_network": ("unknown-target", "missing-entry", "not-calibrated"),
    "transfer_entries": ("unknown-target", "not-transferable"),
    "create_job": (
        "unknown-target",
        "unknown-model",
        "unknown-images",
        "empty-job",
        "job-too-large",
        "imported-target",
        "nothing-selected",
        "method-not-supported",
        "idempotency-key-reused",
    ),
    "list_jobs": (),
    "get_job": ("unknown-job",),
    "cancel_job": ("unknown-job", "not-the-owner", "job-finished"),
    "retry_job": ("unknown-job", "not-the-owner", "job-finished"),
    "delete_job": ("unknown-job", "not-the-owner", "job-not-finished", "job-in-use"),
    "list_failures": ("unknown-job",),
    "list_entries": ("unknown-job", "unknown-target"),
    "list_events": ("too-many-streams",),
    "create_webhook": ("unknown-job", "not-the-owner", "unknown-target", "too-many-webhooks"),
    "list_webhooks": (),
    "get_webhook": ("unknown-webhook", "not-the-owner"),
    "delete_webhook": ("unknown-webhook", "not-the-owner"),
    "rotate_webhook": ("unknown-webhook", "not-the-owner"),
    "test_webhook": ("unknown-webhook", "not-the-owner"),
    "enable_webhook": ("unknown-webhook", "not-the-owner"),
    "list_deliveries": ("unknown-webhook", "not-the-owner"),
    "list_models": (),
    "put_model": (
        "hash-mismatch",
        "not-a-model",
        "too-many-models",
        "models-too-large",
        "store-unavailable",
    ),
    "get_model": ("unknown-model", "store-unavailable"),
    "delete_model": ("unknown-model", "not-the-owner", "model-in-use", "store-unavailable"),
    "list_images": (),
    "put_images": (
        "hash-mismatch",
        "not-images",
        "too-many-models",
        "models-too-large",
        "store-unavailable",
    ),
    "get_images": ("unknown-images", "store-unavailable"),
    "delete_images": ("unknown-images", "not-the-owner", "model-in-use", "store-unavailable"),
    "put_outputs": (
        "unknown-lease",
        "foreign-device",
        "outputs-without-lease",
        "outputs-misfit",
    ),
    "put_windows": ("unknown-lease", "foreign-device", "outputs-without-lease"),
    "put_energy": (
        "unknown-lease",
        "foreign-device",
        "outputs-without-lease",
        "unclear-energy",
    ),
    "list_energies": ("unknown-target",),
    "get_evaluation": ("unknown-job", "no-evaluation"),
    "get_sustained": ("unknown-job", "not-sustained"),
    "list_outputs": ("unknown-job",),
    "get_logits": ("unknown-job", "no-evaluation"),
    "create_token": ("stronger-token",),
    "list_tokens": (),
    "get_token": ("unknown-token",),
    "rotate_token": ("unknown-token", "token-ended", "stronger-token"),
    "revoke_token": ("unknown-token",),
    "retract_visits": ("no-such-visits",),
    "list_retractions": (),
    "claim_lease": ("unknown-device", "foreign-device", "device-quarantined"),
    "renew_lease": ("unknown-lease", "foreign-device", "lease-lost"),
    "release_lease": ("unknown-lease", "foreign-device", "lease-lost"),
    "upload_visits": ("foreign-device", "visit-without-lease"),
}
#: of every address below `/v1`; the request is not valid where it has a parameter that none has
_WITH_TOKEN = (
    "invalid-token",
    "missing-scope",
    "invalid-request",
    "rate-limited",
    "database-unavailable",
)
_WITH_BODY = ("body-too-large", "invalid-request", "storage-full")
_WITH_JSON = ("unsupported-media-type",)


def kinds_of(path: str, operation: dict[str, Any]) -> list[str]:
    """The kinds of problems of an operation, in the order of `KINDS`."""
    kinds = {"internal-error", *OWN.get(operation["operationId"], ())}
    if path.startswith("/v1"):
        kinds.update(_WITH_TOKEN)
    if any(one["name"] == "cursor" for one in operation.get("parameters", ())):
        kinds.add("bad-request")
    body = operation.get("requestBody")
    if body is not None:
        kinds.update(_WITH_BODY)
        if "application/json" in body["content"]:
            kinds.update(_WITH_JSON)
    if path in ("/readyz", "/metrics"):
        kinds.add("database-unavailable")
    return [kind for kind in KINDS if kind in kinds]


def responses(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The error responses of an operation, by status."""
    found: dict[str, Any] = {}
    for kind in kinds_of(path, operation):
        status, title = KINDS[kind]
        response = found.setdefault(str(status), _response(""))
        response["description"] += f"{'; ' if response['description'] else ''}{title} (`{kind}`)"
        examples = response["content"][MEDIA_TYPE]["examples"]
        examples[kind] = {"summary": title, "value": _example(kind, path)}
    # What belongs to no operation, such as a method that is not allowed.
    for range_, kind in (("4XX", "method-not-allowed"), ("5XX", "internal-error")):
        found[range_] = _response("A problem (RFC 9457)")
        found[range_]["content"][MEDIA_TYPE]["examples"][kind] = {"value": _example(kind, path)}
    return dict(sorted(found.items()))


def _response(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": _SCHEMA, "examples": {}}},
    }


def _example(kind: str, path: str) -> dict[str, Any]:
    status, title = KINDS[kind]
    return {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": "What was wrong, what was expected, what to do next",
        "instance": path,
    }
