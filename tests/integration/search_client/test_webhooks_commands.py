"""`search-client webhooks` against a real server and a real receiver."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.commands import environment
from tests.forked import run
from tests.integration.profiler_server.process import Server
from tests.integration.profiler_server.webhooks.receiver import Receiver, receiving

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    given = {"PROFILER_WEBHOOK_NETWORKS": "127.0.0.1"}
    with Server(tmp_path_factory.mktemp("profiler"), variables=given) as server:
        here = {"PROFILER_URL": server.url, "PROFILER_TOKEN": server.about_token.split()[-1]}

        def call(*arguments: str) -> subprocess.CompletedProcess[str]:
            return run("search-client", "webhooks", *arguments, variables=environment(**here))

        yield call


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def said(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_webhook_from_making_to_deleting(command: Command, receiver: Receiver) -> None:
    made = command("create", receiver.url, "--name", "chat", "--kind", "task_failed")
    secret = said(made).strip()
    (webhook,) = json.loads(said(command("list", "--json")))
    assert webhook["id"] in made.stderr
    assert secret.startswith("whsec_")
    assert "delivered, 1 attempt, status 204" in said(command("test", webhook["id"]))
    assert receiver.verified(secret)[0]["type"] == "webhook_tested"
    again = said(command("rotate", webhook["id"], "--overlap-hours", "0")).strip()
    assert again != secret
    shown = said(command("show", webhook["id"]))
    assert "working; gets task_failed" in shown
    assert "webhook_tested delivered" in shown
    assert "chat" in said(command("list", "--state", "working"))
    assert "There is no webhook" in said(command("list", "--state", "disabled"))
    assert "is deleted" in said(command("delete", webhook["id"]))
    assert json.loads(said(command("list", "--json"))) == []


def test_a_receiver_that_refuses_is_said(command: Command, receiver: Receiver) -> None:
    receiver.statuses = [410]
    said(command("create", receiver.url))
    (webhook,) = json.loads(said(command("list", "--json")))
    tested = command("test", webhook["id"])
    assert tested.returncode == 2
    assert "410" in tested.stderr
    assert "Gone" in said(command("list", "--state", "disabled", "--json"))
    receiver.statuses.clear()
    assert "gets every event again" in said(command("enable", webhook["id"]))


def test_a_wrong_address_is_refused(command: Command) -> None:
    refused = command("create", "http://8.8.8.8/hook")
    assert refused.returncode == 2
    assert "expected https" in refused.stderr
