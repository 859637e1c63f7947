"""Where nothing is sent: everything private, also within another address."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import httpx2
import pytest
from pydantic import TypeAdapter, ValidationError

from profiler_server.kit.networks import Networks, is_in
from profiler_server.kit.problems import Problem
from profiler_server.webhooks.addresses import ForbiddenAddress, check_url, resolved

NETWORKS = TypeAdapter(Networks)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/hook", "https"),
        ("ftp://example.org/hook", "https://HOST"),
        ("example.org", "https://HOST"),
        ("https://user:secret@example.org/", "password"),
        ("https://example.org/#part", "fragment"),
        ("https://127.0.0.1/", "public"),
        ("https://10.1.2.3/", "public"),
        ("https://169.254.169.254/latest/meta-data", "public"),
        ("https://[::1]/", "public"),
        ("https://[fd00::1]/", "public"),
        ("https://[::ffff:10.0.0.1]/", "public"),
        ("https://[64:ff9b::a00:1]/", "public"),
        ("https://[2002:a00:1::]/", "public"),
        ("https://0.0.0.0/", "public"),
        ("https://224.0.0.1/", "public"),
        ("http://127.0.0.1:9/", "https"),
    ],
)
def test_what_is_refused(url: str, said: str) -> None:
    with pytest.raises(Problem, match=r"body\.url") as refused:
        check_url(url, ())
    assert said in str(refused.value.detail)


@pytest.mark.parametrize(
    "url", ["https://example.org/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1]:8443/"]
)
def test_what_is_public_is_not(url: str) -> None:
    check_url(url, ())


def test_networks_of_the_settings_may_be_private_and_plain() -> None:
    allowed = NETWORKS.validate_python(" 10.0.0.0/8,127.0.0.1 , ::1 ")
    for url in ("http://10.1.2.3/", "https://10.1.2.3/", "http://127.0.0.1:1/", "http://[::1]/"):
        check_url(url, allowed)
    for url in ("http://11.0.0.1/", "http://127.0.0.2/", "https://192.168.0.1/"):
        with pytest.raises(Problem):
            check_url(url, allowed)
    assert is_in(ip_address("::ffff:10.0.0.1"), allowed)


def test_a_name_is_what_it_stands_for() -> None:
    url, allowed = httpx2.URL("http://localhost:80/"), NETWORKS.validate_python("127.0.0.0/8,::1")
    assert asyncio.run(resolved(url, allowed))
    with pytest.raises(ForbiddenAddress):
        asyncio.run(resolved(url, ()))


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(ValidationError, match=r"10\.0\.0\.1/8"):
        NETWORKS.validate_python("10.0.0.1/8")
