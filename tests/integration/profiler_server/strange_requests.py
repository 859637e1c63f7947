"""Requests that no client of ours sends: valid ones with a few things wrong, as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from netspec.wire import LatencyLookup, Lease, PredictRequest, TransferRequest
from tests.integration.profiler_server import farm

JSON = "application/json"
#: values as JSON has them, and as it does not
ODD_VALUES = [
    *("null", "true", "0", "-0", "1.5", "1e999", "-1e999", "NaN", "Infinity", "-Infinity"),
    *("2147483648", "9223372036854775808", "1" * 400, "-1", "1e-999", '""', '"\\u0000"'),
    *('"\\ud800"', '"\\udc00x"', '"\U0001f4f1"', '"true"', '"1"', f'"{"x" * 70_000}"'),
    *("[]", "{}", "[[[[[1]]]]]", '{"a": 1, "a": 2}', "[" * 300 + "]" * 300, "[" * 300, "}", "'a'"),
    *('"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-01:00"', '"2026-02-30T00:00:00Z"'),
    *("[{}]", '[{"x":[[[[[1]]]]]}]', f"[{','.join(['{}'] * 5_000)}]", f"[{'1,' * 5_000}1]"),
]
#: what a path, a query or a header may be made of
ODD_TEXTS = [
    *("", "x", "%00", "%0a", "%ed%a0%80", "%ff", "%f0%9f%93%b1", "%2e%2e%2f", "..", "a:b", ":"),
    *("0" * 16, "f" * 64, "-1", "1e9", "NaN", "inf", "true", "2147483648", "9" * 30, "x" * 4_000),
    *("'", '"', "%27%20OR%201=1--", "{}", "[]", "<script>", "*", "%25", "%", "+", "a%20b"),
]


@dataclass(frozen=True)
class Strange:
    """One request."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def target(self) -> str:
        """Path and query, as they stand in a request's first line."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.path}?{query}" if query else self.path


@dataclass(frozen=True)
class Farm:
    """What there is, to be named by requests."""

    device_id: str
    target_id: str
    job_id: str
    lease: Lease
    snapshot_id: str
    #: not the one that asks
    token_id: str
    #: of pages of several lists
    cursors: tuple[str, ...]


def requests(there: Farm) -> st.SearchStrategy[Strange]:
    """Requests with up to three things wrong."""
    operators = farm.blocks(2)
    lease = there.lease
    renewal = {"fence": lease.fence}
    outcome = {"task_id": lease.tasks[0].task_id, "state": "unfinished", "reason": "x"}
    visits = farm.visits(lease, there.device_id, rounds=1)
    lookup = LatencyLookup(target_id=there.target_id, operators=operators)
    target = f"/v1/targets/{there.target_id}"
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/v1/devices", plain(farm.registration())),
        ("POST", "/v1/jobs", plain(farm.job(operators, networks=[farm.network([2])]))),
        ("POST", "/v1/leases", plain(farm.ask(there.device_id))),
        ("POST", f"/v1/leases/{lease.id}:renew", renewal),
        ("POST", f"/v1/leases/{lease.id}:release", {**renewal, "outcomes": [outcome]}),
        ("POST", "/v1/visits:batch", plain(visits)),
        ("POST", "/v1/latencies:lookup", plain(lookup)),
        ("POST", f"{target}:predict", plain(PredictRequest(network=farm.network([2])))),
        ("POST", f"{target}:transfer", plain(TransferRequest(source_target_id="0" * 16))),
        ("POST", f"{target}/snapshots", {"calibrate_on": None}),
        ("PUT", f"/v1/devices/{there.device_id}/labels", {"labels": {"rack": "1"}}),
        ("POST", f"/v1/devices/{there.device_id}:quarantine", {"reason": "x"}),
        ("POST", f"/v1/devices/{there.device_id}:release", None),
        ("POST", f"/v1/jobs/{there.job_id}:cancel", None),
        ("POST", f"/v1/jobs/{there.job_id}:retry", None),
        ("PUT", f"/v1/models/{'0' * 64}", None),
        ("DELETE", f"/v1/models/{'0' * 64}", None),
        ("DELETE", "/v1/jobs/job_x", None),
        ("DELETE", target, None),
        ("POST", "/v1/tokens", {"name": "x", "scopes": ["agent"], "days": 1.0}),
        ("POST", f"/v1/tokens/{there.token_id}:rotate", {"overlap_s": 60.0}),
        ("POST", f"/v1/tokens/{there.token_id}:revoke", None),
        ("POST", "/v1/visits:retract", {"lease_id": "lease_x", "reason": "x"}),
    ]
    entries = f"{target}/entries/{operators[0].content_hash}"
    lists = ["/v1/devices", "/v1/targets", "/v1/jobs", "/v1/events", f"{target}/disagreement"]
    lists += ["/v1/tokens", "/v1/models", "/v1/retractions"]
    lists += [f"/v1/jobs/{there.job_id}/entries", f"{entries}/visits"]
    gets = [entries, f"{target}/latency", f"{target}/snapshots/latest", f"{target}/predecessors"]
    gets += [f"/v1/snapshots/{there.snapshot_id}", f"/v1/models/{'0' * 64}", "/v1/jobs/x", "/"]
    pages = ["/dashboard/", "/dashboard/jobs", "/dashboard/targets", "/dashboard/login", "/healthz"]
    forms = [f"/dashboard/{one}" for one in ("login", "logout", "jobs/new", "models/new")]

    whole = st.sampled_from([with_body(*one) for one in bodies])
    of_list = st.builds(
        lambda path, query: Strange("GET", path, (query,)),
        st.sampled_from(lists),
        cursors(there) | st.tuples(st.just("limit"), odd_text()),
    )
    got = st.sampled_from([Strange("GET", path) for path in (*gets, *lists, *pages)])
    posted = st.builds(posted_form, st.sampled_from(forms), odd_bytes())
    return st.one_of(whole.flatmap(broken_body), of_list, got, posted, whole).flatmap(broken)


def plain(message: Any) -> Any:
    return message.model_dump(mode="json")


def with_body(method: str, path: str, document: Any) -> Strange:
    if document is None:
        return Strange(method, path)
    return Strange(method, path, (), (("Content-Type", JSON),), json.dumps(document).encode())


def posted_form(path: str, body: bytes) -> Strange:
    kinds = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    return Strange("POST", path, (), (("Content-Type", kinds[len(body) % 2]),), body)


def cursors(there: Farm) -> st.SearchStrategy[tuple[str, str]]:
    """Cursors that were made here, also for other lists, with something cut off or changed."""

    def changed(cursor: str, at: int, by: str) -> str:
        at %= len(cursor)
        return cursor[:at] + by + cursor[at + 1 :]

    good = st.sampled_from(there.cursors)
    letters = st.sampled_from(["", "A", "_", "=", "%00", "%ff", "AAAA" * 600])
    bad = st.builds(changed, good, st.integers(0, 200), letters)
    return st.tuples(st.just("cursor"), good | bad | odd_text())


def odd_text() -> st.SearchStrategy[str]:
    return st.sampled_from(ODD_TEXTS) | st.text(max_size=20).map(
        lambda text: quote(text.encode("utf-8", "surrogatepass"))
    )


def odd_bytes() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=200) | st.sampled_from(
        [
            *(b"", b"&" * 5_000, b"a=%ff&b=%00", b"a" * 10_000, b"=" * 2_000),
            b"--x\r\nContent-Disposition: form-data; name=token\r\n\r\nx\r\n--x--\r\n",
            b"--x\r\nContent-Disposition: form-data; name=model; filename=a\r\n\r\nx",
        ]
    )


def broken_body(request: Strange) -> st.SearchStrategy[Strange]:
    """The request with another value somewhere in its body, or bytes that are no JSON."""
    if request.body is None:
        return odd_bytes().map(lambda body: replace(request, body=body))
    document = json.loads(request.body)
    places = list(places_in(document))

    def with_value(place: tuple[str | int, ...], value: str) -> Strange:
        marked = json.dumps(put(document, place, "<here>"))
        return replace(request, body=marked.replace('"<here>"', value).encode())

    def with_bytes(at: int, more: bytes, *, cut: bool) -> Strange:
        assert request.body is not None
        start = at % len(request.body)
        rest = b"" if cut else request.body[start + 1 :]
        return replace(request, body=request.body[:start] + more + rest)

    values = st.sampled_from(ODD_VALUES) | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ).map(json.dumps)
    return st.builds(with_value, st.sampled_from(places), values) | st.builds(
        with_bytes, st.integers(0, 10_000), st.binary(max_size=3), cut=st.booleans()
    )


def places_in(value: Any, place: tuple[str | int, ...] = ()) -> Any:
    """Where values stand in a document, and one place more in each object."""
    yield place
    if isinstance(value, dict):
        yield (*place, "unknown")
        for name, inner in value.items():
            yield from places_in(inner, (*place, name))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places_in(inner, (*place, number))


def put(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """A copy of a document with another value at a place."""
    if not place:
        return value
    first, *rest = place
    if isinstance(document, list):
        inner = list(document)
        inner[int(first)] = put(inner[int(first)], tuple(rest), value)
        return inner
    return {**document, first: put(document.get(first), tuple(rest), value)}


def broken(request: Strange) -> st.SearchStrategy[Strange]:
    """The request with, perhaps, another header, parameter, method or part of its path."""
    names = ["limit", "cursor", "format", "allow_predicted", "key", "in", "job_id", "kind", "next"]
    names += [
        "sort",
        "state",
        "since",
        "label",
        "owner",
        "name",
        "wait_s",
        "target_id",
        "at_least_percent",
        "unknown",
        "%00",
    ]
    headers = ["Accept", "Accept-Encoding", "Authorization", "Content-Type", "Content-Encoding"]
    headers += ["Cookie", "Expect", "Idempotency-Key", "If-None-Match", "Origin", "X-Request-Id"]
    odd_header = st.tuples(
        st.sampled_from(headers), st.sampled_from(ODD_HEADERS) | st.text(LATIN, max_size=30)
    )
    parameter = st.tuples(st.sampled_from(names), odd_text())
    methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])

    def with_part(number: int, text: str) -> Strange:
        parts = request.path.split("/")
        parts[1 + number % (len(parts) - 1)] = text
        return replace(request, path="/".join(parts))

    return st.one_of(
        st.just(request),
        odd_header.map(lambda header: replace(request, headers=(*request.headers, header))),
        st.lists(parameter, min_size=1, max_size=3).map(
            lambda more: replace(request, query=(*request.query, *more))
        ),
        methods.map(lambda method: replace(request, method=method)),
        st.builds(with_part, st.integers(0, 9), odd_text()),
    )


#: characters that a header may hold
LATIN = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
ODD_HEADERS = [
    *("", "*", "*/*;q=x", "text/csv;q=0,*/*;q=-1", "application/json;" * 200, '"a', 'W/"a", *'),
    *("gzip;q=nan", "Bearer", "Bearer ", "Basic x", "bearer \xe4", "identity", "100-continue", "0"),
    *("text/plain", "application/x+json", "multipart/form-data", "a=b;" * 500, "x" * 3_000, ","),
]
