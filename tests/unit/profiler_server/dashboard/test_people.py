"""Pages speak to people: nothing of the API, no pattern, no backticks."""

from __future__ import annotations

import pytest

from profiler_server.dashboard.people import in_words, of_kind


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ("no job 'x'; GET /v1/jobs lists the latest", "No job &#39;x&#39;"),
        (
            "Nothing here. Measure some with `POST /v1/jobs`. Or start `device-agent run`.",
            "Nothing here. Or start <code>device-agent run</code>.",
        ),
        (
            "labels.a b.[key]: expected match pattern '^[a-z]{1,3}$', got 'a b'",
            "Labels.a b.[key]: is not of the form that is expected here, got &#39;a b&#39;",
        ),
        ("<b>; see /docs", "&lt;b&gt;"),
        (
            "spaces.0.input_size: expected greater than or equal to 1, got 0",
            "Input size: expected at least 1, got 0",
        ),
        ("query.at_least_percent: expected a number", "At least percent: expected a number"),
        (
            "query.target.0: expected match pattern '^[0-9a-f]{16}$', got 'x'; query.size: no",
            "Target: is not of the form that is expected here, got &#39;x&#39;; size: no",
        ),
        ("operators.0.mbconv.input_size: is missing", "Operators.0.mbconv.input_size: is missing"),
        (
            "no device of target 01 can measure in_network; leave `method` out to measure isolated",
            "No device of target 01 can measure in networks",
        ),
        ("at 1.5 s. 2 of 3; done", "At 1.5 s. 2 of 3; done"),
    ],
)
def test_what_is_for_programs_is_left_out(detail: str, shown: str) -> None:
    assert in_words(detail) == shown


def test_what_is_not_there_leads_to_what_is() -> None:
    says, address, name = of_kind("unknown-job", "no job 'x'; GET /v1/jobs lists the latest")
    assert "no such job" in says
    assert (address, name) == ("/jobs", "the jobs")


def test_a_page_of_a_list_that_is_none_leads_to_its_first() -> None:
    detail = "query.cursor: not a cursor of this list in this order; take it from the `Link` header"
    assert of_kind("bad-request", detail)[0] == (
        "The list has no such page: begin with its first one."
    )
