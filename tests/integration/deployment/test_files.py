"""What can be said of the deployment's files without an engine."""

from __future__ import annotations

import importlib.resources
import json
import re
import shutil
import subprocess
import tomllib
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import typer.testing
import yaml
from prometheus_client.parser import text_string_to_metric_families

from device_agent import cli as agent_cli
from profiler_server import cli as server_cli
from profiler_server.app import create_app
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from tests.integration.deployment import compose
from tests.integration.deployment.compose import ROOT
from tests.integration.wheel.places import sources_of_images

PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*(@sha256:[0-9a-f]{64})?")
SERVICES = compose.load()["services"]
TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")


@pytest.fixture(scope="module")
def validator() -> Any:
    """Of the compose specification; check-jsonschema carries its schema."""
    package = importlib.resources.files("check_jsonschema")
    text = (package / "builtin_schemas" / "vendor" / "compose-spec.json").read_text("utf-8")
    return jsonschema_rs.validator_for(json.loads(text))


def test_the_compose_file_is_valid(validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(compose.load())] == []


def test_the_schema_finds_mistakes(validator: Any) -> None:
    for path, value in ((("ports",), "x"), (("healthcheck", "retrys"), 1), (("dependson",), [])):
        broken = deepcopy(compose.load())
        place = broken["services"]["server"]
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        assert not validator.is_valid(broken), path


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert PINNED.fullmatch(service["image"]), name


def test_services_watch_their_health_and_come_back() -> None:
    lasting = {name: one for name, one in SERVICES.items() if name != "migrate"}
    for name, service in lasting.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_services_may_do_little() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        if name != "database":
            assert service["cap_drop"] == ["ALL"], name


def test_there_is_no_default_password() -> None:
    secret = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", TEXT)
    assert secret
    assert all(rest.startswith(":?") for _, rest in secret)
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable or "TOKEN" in variable:
                assert re.fullmatch(r"\$\{\w+(:\?[^}]+|:-)\}", value), variable


def test_only_this_machine_is_served_unless_told_otherwise() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert compose.substituted(port, {}).startswith("127.0.0.1:")
    assert "ports" not in SERVICES["server"]
    assert "ports" not in SERVICES["database"]


def test_what_is_referred_to_is_there() -> None:
    volumes = set(compose.load()["volumes"])
    used = set()
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), source
            else:
                used.add(source)
    assert used == volumes


@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("migrate", server_cli.app),
        ("server", server_cli.app),
        ("phone-agent", agent_cli.app),
        ("host-agent", agent_cli.app),
    ],
)
def test_commands_are_ours(name: str, app: typer.Typer) -> None:
    """`--help` at the end: the options before it are read, and nothing is started."""
    _, *arguments = SERVICES[name]["command"]
    result = typer.testing.CliRunner().invoke(app, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    shown = result.output
    for option in (one for one in arguments if one.startswith("--")):
        assert option in shown


DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
STAGES = {
    parts[3]: parts[1]
    for parts in (line.split() for line in DOCKERFILE if line.startswith("FROM "))
}


class TestDockerfile:
    """A lint of what an engine would trip over, or do as root."""

    def of_stage(self, name: str) -> list[str]:
        start = next(n for n, line in enumerate(DOCKERFILE) if line.endswith(f" AS {name}"))
        end = next(
            (n for n in range(start + 1, len(DOCKERFILE)) if DOCKERFILE[n].startswith("FROM ")),
            len(DOCKERFILE),
        )
        return DOCKERFILE[start:end]

    def test_stages_come_from_pinned_images_or_each_other(self) -> None:
        for name, base in STAGES.items():
            assert base in STAGES or PINNED.fullmatch(base), name

    def test_compose_builds_stages_that_there_are(self) -> None:
        for service in SERVICES.values():
            if "build" in service:
                assert service["build"]["target"] in STAGES

    @pytest.mark.parametrize("stage", ["server", "agent"])
    def test_nothing_runs_as_root(self, stage: str) -> None:
        users = [line.split()[1] for line in self.of_stage(stage) if line.startswith("USER ")]
        assert users == ["profiler"]
        last = [line.split()[0] for line in self.of_stage(stage) if line]
        assert "RUN" not in last[last.index("USER") :]

    def test_what_is_copied_is_there_and_not_ignored(self) -> None:
        kept = [
            line[1:]
            for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
            if line.startswith("!")
        ]
        # The tests of the wheel build it out of these alone.
        copied = sources_of_images()
        assert copied
        for source in copied:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, pattern) for pattern in kept), source

    def test_extras_are_ours_and_versions_are_pinned(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        installs = [line for line in DOCKERFILE if "pip install" in line]
        assert len(installs) == 2
        for line in installs:
            assert "--constraint constraints.txt" in line
            (extras,) = re.findall(r"'\.\[([\w,]+)\]'", line)
            assert set(extras.split(",")) <= set(project["optional-dependencies"])

    def test_programs_are_ours(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        commands = [json.loads(line[4:]) for line in DOCKERFILE if line.startswith("CMD ")]
        assert {command[0] for command in commands} <= set(project["scripts"])
        assert SERVICES["server"]["command"][: len(commands[-1])] == commands[-1]


def test_prometheus_scrapes_every_replica() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
    (job,) = config["scrape_configs"]
    (names,) = job["dns_sd_configs"]
    assert names["names"] == ["server"]
    assert [str(names["port"])] == SERVICES["server"]["expose"]
    mounted = {one.split(":")[1] for one in SERVICES["prometheus"]["volumes"]}
    assert set(config["rule_files"]) <= mounted
    (option,) = (one for one in SERVICES["prometheus"]["command"] if "config.file" in one)
    assert option.split("=")[1] in mounted


def test_alerts_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'x.db'}", server_key_file=tmp_path / "key"
    )
    app = create_app(settings)
    database = Database(settings.database_url)
    schema.upgrade(database)
    database.close()
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
    assert config["scrape_configs"][0]["metrics_path"] in app.openapi()["paths"]
    app.state.metrics.request("GET", "/healthz", 200, 0.01)
    text = app.state.metrics.text().decode()
    there = {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    } | {family.name for family in text_string_to_metric_families(text)}
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
    asked = {
        name
        for group in rules["groups"]
        for rule in group["rules"]
        for name in re.findall(r"profiler_\w+", rule["expr"])
    }
    assert asked
    assert asked <= there


def test_the_proxys_file_is_valid() -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("Caddy has no wheel for this platform")
    version = subprocess.run([caddy, "version"], capture_output=True, text=True, check=True).stdout
    assert SERVICES["proxy"]["image"] == f"caddy:{version.split()[0].removeprefix('v')}"
    for site in ("http://:8600", "profiler.example:8600"):
        checked = subprocess.run(
            [caddy, "adapt", "--validate", "--config", ROOT / "deploy" / "Caddyfile"],
            env={"PROFILER_SITE": site, "HOME": "/tmp"},  # noqa: S108 - nothing is written
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
