from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest

from tests.integration.profiler_server import farm
from tests.integration.profiler_server.conftest import MakeApi
from tests.integration.profiler_server.service import Api


def pages(api: Api, path: str) -> Iterator[list[dict[str, object]]]:
    """Every page that the `Link` headers lead to."""
    following: str | None = path
    while following is not None:
        answer = api.call("GET", following)
        yield answer.json()
        link = answer.headers.get("Link")
        following = None
        if link is not None:
            found = re.fullmatch(r'<(.+)>; rel="next"', link)
            assert found is not None
            following = found[1]


def next_cursor(api: Api, path: str) -> str:
    link = api.call("GET", path).headers["Link"]
    return link.split("cursor=", 1)[1].split(">", 1)[0]


def test_pages_of_devices_hold_everyone_once_in_order(api: Api) -> None:
    for serial in "CAEBD":
        api.register(farm.registration(serial))
    sizes, serials = [], []
    for page in pages(api, "/v1/devices?limit=2"):
        sizes.append(len(page))
        serials += [device["serial"] for device in page]
    assert (sizes, serials) == ([2, 2, 1], list("ABCDE"))
    assert all(device["target_ids"] for device in api.call("GET", "/v1/devices").json())


def test_a_full_last_page_leads_nowhere(api: Api) -> None:
    for serial in "AB":
        api.register(farm.registration(serial))
    assert "Link" not in api.call("GET", "/v1/devices?limit=2").headers


def test_targets_come_oldest_first_with_their_counts(api: Api) -> None:
    models = [f"Pixel {number}" for number in range(4)]
    for model in models:
        api.register(farm.registration(model, model))
    listed = [target for page in pages(api, "/v1/targets?limit=3") for target in page]
    assert [target["id"] for target in listed] == [farm.identity(model).id for model in models]
    assert {target["devices"] for target in listed} == {1}


def test_jobs_come_newest_first_and_new_ones_do_not_shift_the_pages(api: Api) -> None:
    api.register(farm.registration())
    filed = [api.file(farm.job(farm.blocks(1))).id for _ in range(4)]
    seen: list[object] = []
    for page in pages(api, "/v1/jobs?limit=2"):
        seen += [job["id"] for job in page]
        api.file(farm.job(farm.blocks(1)))
    assert seen == filed[::-1]


def test_a_jobs_entries_come_in_pages_by_name(api: Api) -> None:
    device = api.register(farm.registration()).id
    operators = farm.blocks(5)
    job = api.file(farm.job(operators, rounds=1))
    api.upload(farm.visits(api.claim(device), device, rounds=1))
    listed = list(pages(api, f"/v1/jobs/{job.id}/entries?limit=2"))
    assert [len(page) for page in listed] == [2, 2, 1]
    names = [entry["name"] for page in listed for entry in page]
    assert names == sorted(operator.key for operator in operators)


def sealed(signature: bytes, document: object) -> str:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(signature + content).decode().rstrip("=")


def opened(cursor: str) -> tuple[bytes, list[object]]:
    content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    return content[:16], json.loads(content[16:])


def test_a_cursor_that_the_server_has_not_made_for_the_list_is_refused(api: Api) -> None:
    for serial in "AB":
        api.register(farm.registration(serial, model=serial))
    good = next_cursor(api, "/v1/targets?limit=1")
    foreign = next_cursor(api, "/v1/devices?limit=1")
    signature, (time, target) = opened(good)
    last = "A" if good[-1] != "A" else "B"
    wrong = [
        *("nonsense", "ä", "!", "", "bnVsbA", "%00", "%ed%a0%80", foreign),
        *(good[:-3], good[:-1] + last, good + "=", good + "A", good.swapcase()),
        *(sealed(signature, one) for one in ([time], [time, 1], [time, "\0"], [time, target, 0])),
        *(sealed(signature, one) for one in (["noon", target], [5, target], {"a": 1}, None)),
        *(sealed(signature, b"[" * 1_000), sealed(bytes(16), [time, target])),
    ]
    for cursor in wrong:
        path = f"/v1/targets?limit=1&cursor={cursor}"
        detail = api.problem("GET", path, status=400, kind="bad-request")
        assert "query.cursor" in detail
    assert len(api.call("GET", f"/v1/targets?limit=1&cursor={good}").json()) == 1


def test_replicas_take_each_others_cursors(make_api: MakeApi) -> None:
    one, other = make_api(), make_api()
    for serial in "AB":
        one.register(farm.registration(serial))
    cursor = next_cursor(one, "/v1/devices?limit=1")
    (device,) = other.call("GET", f"/v1/devices?cursor={cursor}").json()
    assert device["serial"] == "B"


def test_the_longest_names_fit_into_a_cursor(api: Api) -> None:
    longest = "\U0001f4f1" * 199
    for end in "AB":
        request = farm.registration(longest + end).model_copy(update={"agent": longest + end})
        api.register(request)
    assert [len(page) for page in pages(api, "/v1/devices?limit=1")] == [1, 1]


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_page_is_bounded(api: Api, limit: str) -> None:
    detail = api.problem("GET", f"/v1/jobs?limit={limit}", status=422, kind="invalid-request")
    assert "query.limit" in detail
