"""What a user can put right is one line on stderr that says how, and exit code 2."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netspec.client import ProfilerClient
from netspec.console.connection import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE
from netspec.console.tokens import server_address, server_tokens
from netspec.operators import MBConv
from netspec.wire import JobRequest
from search_client.recipe import read_recipe
from tests import forked
from tests.acceptance.commands import (
    environment,
    run_installed,
    started,
    write_data,
    write_recipe,
)
from tests.waiting import wait_for

#: nothing listens on the discard port
NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Lab:
    """A server with an agent and a table of one operator, data and a recipe."""

    folder: Path
    url: str
    target_id: str

    @property
    def variables(self) -> dict[str, str]:
        return {DATA_DIR_VARIABLE: str(self.folder / "profiler"), URL_VARIABLE: self.url}

    def fails(self, name: str, *arguments: str | Path, **variables: str) -> str:
        """The line that says why a command did not work, after its progress."""
        variables = environment(**{**self.variables, **variables})
        ended = forked.run(name, *arguments, variables=variables)
        assert ended.returncode == 2, ended
        assert "Traceback" not in ended.stdout + ended.stderr
        assert ended.stderr.endswith("\n")
        *progress, line = ended.stderr.splitlines()
        assert line.startswith("error: ")
        assert not [other for other in progress if "error" in other], "one line says it all"
        return line

    def search_fails(self, *arguments: str | Path, **variables: str) -> str:
        """The same for a search; later options win over those given here."""
        given: list[str | Path] = ["--data", self.folder / "data", "--run", self.folder / "run"]
        given += ["--recipe", self.folder / "tiny.toml", *arguments]
        return self.fails("search-client", "search", *given, **variables)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    data_dir, log = folder / "profiler", folder / "server.log"
    write_data(folder / "data")
    write_recipe(folder / "tiny.toml")
    variables = {DATA_DIR_VARIABLE: str(data_dir)}
    with started("profiler-server", "serve", "--port", "0", log=log, **variables):
        # "profiler-server at URL", then a line about the token
        said = wait_for(lambda: log.read_text(encoding="utf-8").partition("\n")[0])
        url = said.split()[-1]
        token = wait_for(lambda: server_tokens(url, data_dir))[0]
        agent = ["device-agent", "run", "--until-idle", "--profiler-url", url]
        with ProfilerClient(url, token) as client:
            assert forked.run(*agent, variables=environment(**variables)).returncode == 0
            (target,) = client.targets()
            operator = MBConv(input_size=8, in_channels=9, out_channels=9, expand=3, residual=True)
            request = JobRequest(name="one", target_id=target.id, operators=(operator,), rounds=1)
            client.create_job(request)
            assert forked.run(*agent, variables=environment(**variables)).returncode == 0
            client.publish(target.id)
        yield Lab(folder, url, target.id)


def test_an_unknown_target(lab: Lab) -> None:
    said = lab.search_fails("--target", "nexus")
    assert "no target begins with 'nexus'; there are: " in said
    assert lab.target_id in said


def test_an_operator_that_the_table_lacks(lab: Lab) -> None:
    said = lab.search_fails()
    settings = read_recipe(str(lab.folder / "tiny.toml")).for_classes(10)
    operators = settings.operators()
    assert f"the table of target {lab.target_id} lacks {len(operators)} operators: " in said
    assert min(operator.key for operator in operators) in said
    assert "profile them with `search-client profile`" in said


def test_a_data_folder_without_classes(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no class", encoding="utf-8")
    said = lab.search_fails("--data", tmp_path)
    assert f"{tmp_path} has 0 classes with images (it holds notes.txt)" in said
    assert "expected FOLDER/train/CLASS/*.png" in said


def test_a_data_folder_that_is_not_there(lab: Lab, tmp_path: Path) -> None:
    said = lab.search_fails("--data", tmp_path / "nowhere")
    assert f"there is no data folder {tmp_path / 'nowhere'}; expected FOLDER/train" in said


def test_a_run_folder_that_is_a_file(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    assert f"the folder {tmp_path / 'run'} cannot be made" in lab.search_fails(
        "--run", tmp_path / "run"
    )


def test_a_server_that_is_not_there(lab: Lab) -> None:
    nobody = {URL_VARIABLE: NOBODY, TOKEN_VARIABLE: "any"}
    for said in (lab.search_fails(**nobody), lab.fails("device-agent", "run", **nobody)):
        assert f"no profiler answers at {NOBODY}" in said
        assert "start one with `profiler-server serve`" in said


def test_what_evaluate_cannot_measure_is_told_before_images_are_read(lab: Lab) -> None:
    model, nowhere = lab.folder / "model.tflite", lab.folder / "nowhere"
    model.touch()
    given = ("evaluate", model, "--data", nowhere, "--measure")
    said = lab.fails("search-client", *given, **{URL_VARIABLE: NOBODY, TOKEN_VARIABLE: "any"})
    assert f"no profiler answers at {NOBODY}" in said
    assert "no target begins with 'x'" in lab.fails("search-client", *given, "--target", "x")
    network = lab.folder / "searched.network.pt"
    network.touch()
    said = lab.fails("search-client", "evaluate", network, "--data", nowhere, "--measure")
    assert "--measure takes a .tflite file" in said


def test_a_token_that_is_wrong(lab: Lab) -> None:
    wrong = {TOKEN_VARIABLE: "wrong"}
    for said in (
        lab.search_fails(**wrong),
        lab.fails("search-client", "targets", **wrong),
        lab.fails("device-agent", "run", **wrong),
    ):
        assert f"the profiler at {lab.url} refused the token" in said
        assert f"set {TOKEN_VARIABLE} to a valid one (`profiler-server token create`" in said
        assert said.count("token create") == 1


def test_no_token(lab: Lab, tmp_path: Path) -> None:
    said = lab.search_fails(**{DATA_DIR_VARIABLE: str(tmp_path)})
    assert f"no token for {lab.url}: set {TOKEN_VARIABLE} to one that" in said


def test_a_token_is_sent_to_no_other_server(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"http://127.0.0.1:{other.getsockname()[1]}"
        of_lab = {TOKEN_VARIABLE: server_tokens(lab.url, lab.folder / "profiler")[0]}
        for variables in ({}, of_lab):
            for said in (
                lab.search_fails("--profiler-url", url, **variables),
                lab.fails("search-client", "targets", "--profiler-url", url, **variables),
                lab.fails("device-agent", "run", "--profiler-url", url, **variables),
            ):
                assert f"no token for {server_address(url)}" in said
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_port_that_is_taken(lab: Lab, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        data, run_folder = lab.folder / "data", tmp_path / "run"
        for said in (
            lab.fails("profiler-server", "serve", "--port", port),
            lab.fails("search-client", "demo", "--data", data, "--run", run_folder, "--port", port),
        ):
            assert f"port {port} on 127.0.0.1 is taken; stop what uses it" in said
            assert "pass another with --port" in said


def test_an_unknown_recipe(lab: Lab) -> None:
    said = lab.search_fails("--recipe", "dmeo")
    assert "no recipe 'dmeo', and no such TOML file; did you mean 'demo'?" in said
    # The installed script, which imports everything itself, says no more than that.
    given = ("search", "--data", lab.folder / "data", "--recipe", "dmeo")
    ended = run_installed("search-client", *given, **lab.variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{said}\n")


def test_a_recipe_with_an_unknown_key(lab: Lab, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("[search]\nepochs = 3\n", encoding="utf-8")
    said = lab.search_fails("--recipe", recipe)
    assert f"recipe {recipe}: search.epochs: there is no such value; did you mean" in said
