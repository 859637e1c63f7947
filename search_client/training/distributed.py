"""Several processes of one search, started by `torchrun`: alone, everything here is a no-op."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from netspec.errors import UserError


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def shard() -> tuple[int, int]:
    """This process's number and how many there are."""
    return rank(), world()


def share(batch_size: int) -> int:
    """Images of a batch that are this process's, at least one."""
    return max(1, batch_size // world())


@contextmanager
def joined() -> Iterator[None]:
    """Joins the processes that `torchrun` started; NCCL where there are GPUs, else gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    # Its functions take the group that there is at its import as a default, and torch's optimizers
    # import it. A group that they hold outlives its end here, and its threads then meet an
    # interpreter that is no more: "terminate called without an active exception".
    importlib.import_module("torch.distributed.nn.functional")
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl")
    else:
        dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def average(tensors: Sequence[Tensor]) -> None:
    """Replaces tensors by their means over all processes, in one message, in place.

    Every process gives the same shapes in the same order.
    """
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world()
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def sums(*numbers: int) -> tuple[int, ...]:
    """The sum of each number over all processes."""
    if world() == 1:
        return numbers
    summed = torch.tensor(numbers, device=_device())
    dist.all_reduce(summed)
    return tuple(summed.tolist())


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Averages the gradients there are; the same path ran everywhere, so they are the same."""
    average([parameter.grad for parameter in parameters if parameter.grad is not None])


def agree(module: nn.Module) -> None:
    """Gives every process the first one's parameters and buffers."""
    if world() > 1:
        with torch.no_grad():
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, src=0)


def any_process(condition: bool) -> bool:
    """Whether something is so in any process, for instance that it was asked to stop."""
    if world() == 1:
        return condition
    flag = torch.tensor(int(condition), device=_device())
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def same(text: Callable[[], str]) -> str:
    """The text that the first process makes, in every process.

    Others are asked once for all processes, and all of them are told the same.

    Raises:
        UserError: the first process could not make it; each says why.
    """
    if world() == 1:
        return text()
    said, failed = _attempt(text) if rank() == 0 else (b"", False)
    about = torch.tensor([len(said), int(failed)], device=_device())
    dist.broadcast(about, src=0)
    length, refused = about.tolist()
    buffer = bytearray(said) if said else bytearray(length)
    content = torch.frombuffer(buffer, dtype=torch.uint8).to(_device())
    dist.broadcast(content, src=0)
    told = content.cpu().numpy().tobytes().decode()
    if refused:
        raise UserError(told)
    return told


def _attempt(text: Callable[[], str]) -> tuple[bytes, bool]:
    """A text, or the error in its place."""
    try:
        return text().encode(), False
    except UserError as error:
        return str(error).encode(), True


def _device() -> torch.device:
    """Where the processes exchange tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def device() -> torch.device:
    """Where searches and trainings run: this process's GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
