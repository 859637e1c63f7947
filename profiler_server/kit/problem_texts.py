"""What each kind of problem means, and what to do about it, for people."""

from __future__ import annotations

#: by kind
MEANINGS: dict[str, str] = {
    "bad-request": "Something of the request cannot be read: mostly a cursor that this server has "
    "not made for this list in this order. Begin with the first page, and follow the `Link` "
    "headers.",
    "invalid-token": "There is no token, or it is mistyped, revoked, expired or of another server. "
    "`profiler-server token create` makes one; send it as `Authorization: Bearer TOKEN`.",
    "missing-scope": "The token is valid, but none of its scopes allows this. The detail names the "
    "scope that does; ask an administrator for a token that has it.",
    "stronger-token": "A token makes and rotates only tokens that can do no more and last no "
    "longer than itself. Ask for fewer scopes or days, or with another token.",
    "foreign-device": "A device belongs to the token that registered it first. Use that token, or "
    "have it revoked: then the next registration takes the device over.",
    "outside-labels": "The token is limited to devices with some labels, and would give itself "
    "more: a device that it registers or labels has all of these, and a target of that device is "
    "new or measured by a device that has them. Ask an administrator for a token without limits.",
    "not-the-owner": "It was made with another token, and only that one or an administrator's may "
    "change or delete it.",
    "not-found": "No address of the server is like this. The OpenAPI document lists them all; ids "
    "hold no slash and no colon.",
    "unknown-device": "No device has this id. `GET /v1/devices` lists them; an agent registers its "
    "devices when it starts.",
    "unknown-target": "No target has this id, or it is none of the job's. `GET /v1/targets` lists "
    "them; targets come with the devices that agents register, and with imported tables.",
    "unknown-job": "No job has this id, or it was deleted. `GET /v1/jobs` lists them.",
    "unknown-lease": "No lease has this id. Claim another one.",
    "unknown-model": "The file is not stored here. Send it with `PUT /v1/models/{sha256}`.",
    "unknown-images": "The images are not stored here. Send them with `PUT /v1/images/{sha256}`.",
    "no-evaluation": "The job measures, and runs no images. `GET /v1/jobs/{job_id}` shows it.",
    "not-sustained": "The job has no `sustained`. `GET /v1/jobs/{job_id}` shows it.",
    "unknown-token": "No token has this id. `GET /v1/tokens` lists them.",
    "unknown-webhook": "No webhook has this id, or it was deleted. `GET /v1/webhooks` lists them.",
    "unknown-snapshot": "Nothing was published for the target, or no snapshot has this id. Publish "
    "the table with `POST /v1/targets/{target_id}/snapshots`.",
    "no-such-visits": "No visit is like that which was to be taken back; nothing was changed.",
    "missing-entry": "The target's table has no entry of this operator. Have it measured with "
    "`POST /v1/jobs`, or ask with `allow_predicted=true` where the address takes it.",
    "method-not-allowed": "The address is there, and takes other methods: the header `Allow` names "
    "them.",
    "device-quarantined": "The device gets no work until an administrator releases it: see its "
    "quarantine's reason.",
    "lease-lost": "The lease was not renewed in time, or its device has claimed another one. What "
    "was measured under it is still taken; claim again for more.",
    "job-finished": "The job is over, so there is nothing to cancel or to retry. File it again.",
    "job-not-finished": "Something of the job is still to be measured, or in an agent's hands. "
    "Cancel it and try again in a minute.",
    "job-in-use": "A target's drift is judged on this job; it can be deleted after the next "
    "recheck.",
    "target-in-use": "Something was or is to be measured on the target, so it stays.",
    "model-in-use": "An open task needs the file. Cancel its job first.",
    "too-many-models": "The token has uploaded as many files as it may "
    "(`PROFILER_MODELS_PER_TOKEN`). Delete some with `DELETE /v1/models/{sha256}`.",
    "too-many-webhooks": "A token has at most 20 webhooks. Delete one with "
    "`DELETE /v1/webhooks/{webhook_id}`, or let one get several kinds of events.",
    "token-ended": "The token was revoked or has expired, and cannot be rotated. Make another.",
    "empty-table": "The target has no entries to publish. Have something measured first.",
    "not-calibratable": "A network that a calibration is to be fitted on is not measured on the "
    "target, or some of its operators are not.",
    "not-calibrated": "No calibration of the target's table is for networks like this. Measure "
    "some with `POST /v1/jobs`.",
    "not-transferable": "The two targets have too few entries in common to carry any over.",
    "not-acceptable": "The table can be had in other formats; the detail names them.",
    "request-timeout": "Head or body of the request came more slowly than the server waits for.",
    "body-too-large": "The body has more bytes, or more values, than this address takes. Send it "
    "in parts.",
    "models-too-large": "The files of the token would be larger together than they may "
    "(`PROFILER_MODELS_MB_PER_TOKEN`). Delete some.",
    "unsupported-media-type": "The body is not of the type that the address takes, or packed. Send "
    "`Content-Type: application/json`, without a `Content-Encoding`.",
    "invalid-request": "Some values are missing, wrong or unknown. `detail` says which, and "
    "`errors` says it once more for programs: each item has a `detail` and either the `pointer` "
    "of a value in the body (RFC 6901, as in `#/operators/0/kernel`) or the name of a "
    "`parameter`. At most 20 are named.",
    "visit-without-lease": "A visit names no lease that covers it. Agents make visits only of what "
    "they have leased.",
    "outputs-without-lease": "The lease that the outputs name is not one for this task. Agents run "
    "images only of what they have leased.",
    "outputs-misfit": "The bytes of the outputs are not as many as images times classes times 4, "
    "or some are no finite numbers.",
    "unclear-energy": "What the windows counted tells no energy that could be relied on; the "
    "detail says why. Measure again, with more or longer windows.",
    "idempotency-key-reused": "The `Idempotency-Key` was sent with another body in the last 24 "
    "hours. Take a new key for a new request.",
    "job-too-large": "Subjects times targets are more tasks than a job may have. File several.",
    "nothing-selected": "No device with a target is like what the job selects. The detail lists "
    "what there is.",
    "imported-target": "The target is an imported table, which no device can measure.",
    "method-not-supported": "No device of the target measures in this way. Leave `method` out.",
    "empty-job": "The job names nothing to measure. Name spaces, operators, networks or models.",
    "protocol-mismatch": "A target was registered with another protocol than its device's.",
    "hash-mismatch": "The body is not the file that the address names: its SHA-256 is another.",
    "not-a-model": "The body is no `.tflite` file.",
    "not-images": "The body is no `.npy` file of uint8, int8 or float32 in the shape [N, H, W, C].",
    "rate-limited": "The token, or the address, asks more often than it may. Wait for the seconds "
    "in `Retry-After`.",
    "too-many-streams": "As many streams of events are open as this server allows. Wait for the "
    "seconds in `Retry-After`, and close those that are not read.",
    "head-too-large": "The request's line and headers have more bytes than the server reads.",
    "internal-error": "The server failed; its log says why, under the request's `X-Request-Id`. "
    "The request may be sent again.",
    "not-ready": "The server is starting, stopping, or its database has another schema than it "
    "needs. `profiler-server migrate` brings that up to date.",
    "database-unavailable": "The database does not answer, or has no free connection. The request "
    "may be sent again after the seconds in `Retry-After`.",
    "store-unavailable": "Models lie in a store of their own (`PROFILER_MODEL_STORE`), which does "
    "not answer, or not as it should. Nothing was changed; try again after `Retry-After`.",
    "storage-full": "The database's disk is full. What was not receipted is not stored; send it "
    "again when there is room.",
}
