"""The agent's files on a phone: pushed once by content, evicted when they are many."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from device_agent.benchmark_model.program import Program
from device_agent.errors import DeviceFull, DeviceNotReady
from device_agent.text import one_line
from device_agent.transports.base import Transport

#: of models on the phone
DEFAULT_MAX_BYTES = 256 * 2**20
QUICK_S = 20.0
_PUSH_S = 120.0
_NAME_LENGTH = 32


@dataclass(frozen=True)
class AgentFolders:
    """The agent's folders on a device."""

    root: PurePosixPath

    @property
    def models(self) -> PurePosixPath:
        """Models that visits run."""
        return self.root / "models"

    @property
    def runners(self) -> PurePosixPath:
        """The runner, with its libraries."""
        return self.root / "runners"

    @property
    def stretches(self) -> PurePosixPath:
        """Scripts, and what they wrote."""
        return self.root / "stretches"

    @property
    def images(self) -> PurePosixPath:
        """Of one piece of test images at a time; what a killed agent left goes with the next."""
        return self.root / "images"


def folders_on(transport: Transport) -> AgentFolders:
    """The agent's folders on the device that a transport is connected to."""
    return AgentFolders(transport.folder / "proxyless-farm")


class PhoneFiles:
    """Models and runners on one phone, by their content.

    Args:
        transport: to the phone.
        max_bytes: of all models; those used longest ago go first.
    """

    def __init__(self, transport: Transport, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._transport = transport
        self._max_bytes = max_bytes
        self.folders = folders_on(transport)

    def make_folders(self) -> None:
        """Makes the agent's folders."""
        own = self.folders
        folders = shlex.join(str(folder) for folder in (own.models, own.runners, own.stretches))
        self._must(f"mkdir -p {folders}", "make its folders")

    def push_runner(self, program: Program) -> PurePosixPath:
        """The program on the phone, its libraries beside it; the runner before it is removed."""
        runners = self.folders.runners
        path = runners / _name(program.sha256) / "benchmark_model"
        listed = self._transport.shell(f"ls {path}", timeout_s=QUICK_S)
        if listed.exit_code:
            make = f"rm -rf {runners}/* && mkdir -p {path.parent}"
            self._must(make, "make a folder for the runner")
            # The program last: where it is, all is.
            for name, content in (*program.libraries.items(), (path.name, program.content)):
                self._transport.push(content, path.parent / name, mode=0o755, timeout_s=_PUSH_S)
        return path

    def push_models(self, models: Collection[Path]) -> Mapping[Path, str]:
        """Names on the phone by file; what is not there yet is pushed, and room made for it.

        Raises:
            DeviceFull: not even without all other models.
        """
        names: dict[Path, str] = {}
        for path in models:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            names[path] = f"{_name(digest)}.tflite"
        sizes = self._sizes()
        if used := sizes.keys() & names.values():
            self._must(
                f"cd {self.folders.models} && touch {shlex.join(sorted(used))}", "note what it uses"
            )
        missing = {name: path for path, name in names.items() if name not in sizes}
        self._evict(
            sizes, set(names.values()), sum(model.stat().st_size for model in missing.values())
        )
        folder = self.folders.models
        for name, path in missing.items():
            # One at a time: a batch of networks would fill the agent's memory.
            content = path.read_bytes()
            try:
                self._transport.push(content, folder / name, mode=0o644, timeout_s=_PUSH_S)
            except DeviceFull:
                self._evict(self._sizes(), set(names.values()), self._max_bytes)
                self._transport.push(content, folder / name, mode=0o644, timeout_s=_PUSH_S)
        return names

    def _sizes(self) -> dict[str, int]:
        """Bytes by name, used longest ago first."""
        listed = self._must(
            f"cd {self.folders.models} && "
            "for name in $(ls -tr); do echo $name $(wc -c < $name); done",
            "list its models",
        )
        pairs = (line.split() for line in listed.splitlines())
        return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004

    def _evict(self, sizes: Mapping[str, int], keep: Collection[str], room: int) -> None:
        size = sum(sizes.values()) + room
        victims: list[str] = []
        for name, own in sizes.items():
            if size <= self._max_bytes:
                break
            if name not in keep:
                victims.append(name)
                size -= own
        if victims:
            self._must(
                f"cd {self.folders.models} && rm -f {shlex.join(victims)}", "remove old models"
            )

    def _must(self, command: str, what: str) -> str:
        result = self._transport.shell(command, timeout_s=QUICK_S, merged=True)
        if result.exit_code:
            raise DeviceNotReady(
                f"{self._transport.serial} cannot {what}: {one_line(result.output)}"
            )
        return result.output


def _name(digest: str) -> str:
    """Of a file on the phone, from the SHA-256 of its content."""
    return digest[:_NAME_LENGTH]
