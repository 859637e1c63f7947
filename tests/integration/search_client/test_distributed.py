"""Several processes search as one, in the environment that torchrun starts them in."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from rich.console import Console

from netspec.client import ProfilerClient
from netspec.errors import UserError
from netspec.wire import Target
from search_client.networks.layers import FloatNetwork
from search_client.progress import Stages
from search_client.quantization.network import QuantizedNetwork
from search_client.recipe import Recipe
from search_client.stages.latency_tables import measured
from search_client.supernet.binary_gates import Gradient
from search_client.training import distributed
from search_client.training.checkpoints import load
from tests.forked import processes
from tests.integration.search_client import search_process
from tests.integration.search_client.exported import write_images
from tests.unit.search_client.tables import snapshot
from tests.unit.search_client.tiny import tiny_images, tiny_space

TARGET = snapshot({})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("processes")
    write_images(tiny_images(31, seed=1), made / "images" / "test")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    members = [
        processes.Process(target=search_process.take_part, args=(rank, 2, port, made), daemon=True)
        for rank in range(2)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(180)
    assert [member.exitcode for member in members] == [0, 0]
    return made


@pytest.mark.parametrize("gradient", ["two", "full_v2", "reinforce"])
def test_two_processes_do_what_one_does(folder: Path, gradient: Gradient) -> None:
    search_process.run(gradient, folder)
    one = load(folder / f"{gradient}-1-0.pt")
    first, second = (load(folder / f"{gradient}-2-{rank}.pt") for rank in range(2))
    assert one["steps"] == first["steps"] == 2
    moved = 0
    for name, value in one["parameters"].items():
        # Bit for bit the same on both processes: alpha, and the weights of the same paths.
        assert torch.equal(first["parameters"][name], second["parameters"][name])
        assert torch.allclose(first["parameters"][name], value, atol=1e-4), name
        # Drawn with a deviation of 0.001, moved by 0.05.
        if "alpha" in name or "beta" in name:
            moved += int((value.abs() > 0.01).sum())
    assert moved > 0


def test_two_processes_train_as_one_does(folder: Path) -> None:
    search_process.run_training(folder)
    one = load(folder / "training-1-0.pt")["parameters"]
    first, second = (load(folder / f"training-2-{rank}.pt")["parameters"] for rank in range(2))
    torch.manual_seed(0)
    began = dict(FloatNetwork(tiny_space().network([1, 4])).named_parameters())
    for name, value in one.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], value, atol=1e-4), name
    assert any((value - began[name]).abs().max() > 0.01 for name, value in one.items())


def test_two_processes_finetune_the_same_int8_network(folder: Path) -> None:
    """Each sees other images, in every phase of finetuning: only shared gradients keep them one."""
    first, second = (load(folder / f"finetuning-{rank}.pt")["parameters"] for rank in range(2))
    torch.manual_seed(0)
    model = FloatNetwork(tiny_space().network([1, 4]))
    began = dict(QuantizedNetwork.from_float(model).named_parameters())
    assert began.keys() == first.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert any((value - began[name]).abs().max() > 0.01 for name, value in first.items())


def test_two_processes_go_back_together_where_one_meets_no_numbers(folder: Path) -> None:
    """A range that is no number ends the step of one process, whose gradients the other awaits."""
    first, second = (load(folder / f"broken-{rank}.pt") for rank in range(2))
    for state in (first, second):
        (told,) = state["told"]
        assert "diverged: after step 1 of 4" in told
        assert "back at the last good step, with 1/2 of the recipe's" in told
        assert all(bool(value.isfinite().all()) for value in state["parameters"].values())
    for name, value in first["parameters"].items():
        # Statistics are each process's own.
        if "norm" not in name and "range" not in name:
            assert torch.equal(value, second["parameters"][name]), name


def test_two_processes_evaluate_every_image_once(folder: Path) -> None:
    search_process.run_evaluation(folder)
    names = ("1-0", "2-0", "2-1")
    told = [(folder / f"evaluation-{name}.json").read_text(encoding="utf-8") for name in names]
    assert told[0] == told[1] == told[2]
    found = json.loads(told[0])
    assert (found["images"], found["top5"]) == (31, 1.0)
    assert found["top1"] == pytest.approx(found["float32"], abs=1 / 31)


def test_no_thread_of_the_processes_group_outlives_it(folder: Path) -> None:
    """One that did would sometimes end the process by SIGABRT, after all its work."""
    for rank in range(2):
        assert "gloo" in (folder / f"threads-within-{rank}.txt").read_text()
        assert "gloo" not in (folder / f"threads-after-{rank}.txt").read_text()


def test_what_the_first_process_is_told_all_are_told(folder: Path) -> None:
    told = [(folder / f"same-{rank}.txt").read_text(encoding="utf-8") for rank in range(2)]
    assert told == ["grüße of 0, asked by 0"] * 2


def test_several_processes_do_not_wait_for_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with ProfilerClient("http://127.0.0.1:9", "none") as client:
        identity = TARGET.identity
        target = Target(id=TARGET.target_id, identity=identity, entries=0, devices=1)
        stages = Stages(Console(quiet=True))
        with pytest.raises(UserError, match="run `search-client profile` first"):
            measured(client, target, Recipe(), stages)


def test_alone_nothing_is_exchanged() -> None:
    tensors = [torch.ones(2), torch.zeros(3)]
    distributed.average(tensors)
    assert (distributed.rank(), distributed.world()) == (0, 1)
    assert [tensor.tolist() for tensor in tensors] == [[1, 1], [0, 0, 0]]
    assert distributed.any_process(True)
    assert not distributed.any_process(False)
    assert distributed.same(lambda: "told") == "told"
    assert (distributed.shard(), distributed.share(7)) == ((0, 1), 7)
