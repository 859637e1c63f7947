"""Fetches `benchmark_model` from its official addresses, and pins what came.

The lock file is made to be kept under version control: the first fetch of an address records the
SHA-256 of what came (trust on first use, unless the user brings the SHA-256), and from then on
nothing else is taken from it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from device_agent.benchmark_model.elf import program_abis
from device_agent.benchmark_model.flags import Kind, offers
from device_agent.benchmark_model.program import Program, read_program
from device_agent.errors import DownloadFailed, RunnerMissing
from netspec.console.outputs import whole_file
from netspec.protocol import Delegate

LOCK_NAME = "runners.lock.json"
_TFLITE = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/"
    "nightly/latest/{platform}_benchmark_model"
)
_LITERT = "https://storage.googleapis.com/litert/binaries/{version}/{platform}/benchmark_model"
#: the addresses' names of an ABI
_PLATFORMS: dict[Kind, dict[str, str]] = {
    "tflite": {
        "arm64-v8a": "android_aarch64",
        "armeabi-v7a": "android_arm",
        "linux_aarch64": "linux_aarch64",
        "linux_armv7l": "linux_arm",
        "linux_x86_64": "linux_x86-64",
    },
    "litert": {
        "arm64-v8a": "android_arm64",
        "x86_64": "android_x86_64",
        "linux_aarch64": "linux_arm64",
        "linux_x86_64": "linux_x86_64",
    },
}
#: the TFLite tool is only published as this
NIGHTLY = "nightly"
_TIMEOUT_S = 60.0
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Pinned:
    """One line of the lock file."""

    url: str
    sha256: str


class RunnerStore:
    """Fetched programs in a folder, and the lock file that pins them.

    Args:
        folder: of the programs, created on demand.
        lock: the lock file.
        http: for tests.
    """

    def __init__(self, folder: Path, lock: Path, http: httpx2.Client | None = None) -> None:
        self._folder = folder
        self._lock = lock
        self._http = http

    def fetch(self, kind: Kind, version: str, abi: str, sha256: str | None = None) -> Path:
        """Downloads a program, checks it and keeps it.

        Args:
            kind: which of the two programs.
            version: of LiteRT; `nightly` for the TFLite tool.
            abi: Android's name, or `linux_` and the kernel's name of the machine.
            sha256: what must come; by default what the lock file says, or whatever comes first.

        Raises:
            DownloadFailed: nobody is there, or it is another program than the pinned one.
        """
        url = address(kind, version, abi)
        name = _key(kind, version, abi)
        pinned = self._pins()
        known = pinned.get(name)
        wanted = sha256.lower() if sha256 else known and known.sha256
        content = self._download(url)
        found = hashlib.sha256(content).hexdigest()
        if wanted is not None and found != wanted:
            gave = f"{url} gave a file with SHA-256 {found}, but"
            if sha256:
                raise DownloadFailed(f"{gave} --sha256 says {wanted}; ask where that comes from")
            raise DownloadFailed(
                f"{gave} the lock file {self._lock} says {wanted}; a nightly build changes: to "
                "take the new one, remove its entry from the lock file"
            )
        if abi not in (found_for := program_abis(content, url)):
            raise DownloadFailed(f"{url} gave a program for {found_for[0]}, not {abi}")
        path = self._path(found)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(content)
            unfinished.chmod(0o755)
        self._pin({**pinned, name: Pinned(url, found)})
        return path

    def fetched(self, abis: tuple[str, ...], delegate: Delegate = "xnnpack") -> Program:
        """The fetched program that offers the delegate, for the best of these ABIs.

        The LiteRT tool before the other, and its newest version.

        Raises:
            RunnerMissing: none was fetched.
        """
        pins = self._pins()
        for abi in abis:
            for name in sorted(pins, key=_preference, reverse=True):
                kind, version, built_for = name.split("/")
                path = self._path(pins[name].sha256)
                if built_for == abi and path.exists():
                    program = read_program(path, _version(kind, version, pins[name]))
                    if program.sha256 == pins[name].sha256 and offers(program.kind, delegate):
                        return program
        raise RunnerMissing(
            f"no benchmark_model for {', '.join(abis) or 'this device'} was fetched that offers "
            f"{delegate}; run `device-agent runner fetch`, or give the path of yours with --runner"
        )

    def _path(self, sha256: str) -> Path:
        return self._folder / f"benchmark_model-{sha256[:16]}"

    def _pins(self) -> dict[str, Pinned]:
        if not self._lock.exists():
            return {}
        try:
            entries = json.loads(self._lock.read_text(encoding="utf-8"))
            pins = {name: Pinned(**entry) for name, entry in entries.items()}
            for name in pins:
                _preference(name)
        except (ValueError, TypeError, AttributeError) as error:
            raise DownloadFailed(
                f"the lock file {self._lock} cannot be read ({error}); restore it, or remove it"
            ) from error
        return pins

    def _pin(self, pins: dict[str, Pinned]) -> None:
        text = json.dumps({name: asdict(pin) for name, pin in sorted(pins.items())}, indent=2)
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self._lock.write_text(text + "\n", encoding="utf-8")

    def _download(self, url: str) -> bytes:
        http = self._http or httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=True)
        chunks: list[bytes] = []
        size = 0
        try:
            with http, http.stream("GET", url) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    size += len(chunk)
                    if size > _MAX_BYTES:
                        raise DownloadFailed(f"{url} gives more than {_MAX_BYTES >> 20} MiB")
                    chunks.append(chunk)
        except httpx2.HTTPError as error:
            raise DownloadFailed(
                f"{url} gives nothing ({error}); download it elsewhere and pass its path with "
                "--runner"
            ) from error
        return b"".join(chunks)


def address(kind: Kind, version: str, abi: str) -> str:
    """The official address of a program.

    Raises:
        DownloadFailed: none is published for this.
    """
    platform = _PLATFORMS[kind].get(abi)
    if platform is None:
        offered = ", ".join(_PLATFORMS[kind])
        raise DownloadFailed(f"the {kind} tool is published for {offered}, not for {abi!r}")
    if kind == "tflite":
        if version != NIGHTLY:
            raise DownloadFailed("the tflite tool is only published as `nightly`")
        return _TFLITE.format(platform=platform)
    if version == NIGHTLY:
        raise DownloadFailed("the litert tool needs --version, for instance 2.1.0")
    return _LITERT.format(platform=platform, version=version)


def _key(kind: Kind, version: str, abi: str) -> str:
    return f"{kind}/{version}/{abi}"


def _preference(name: str) -> tuple[bool, list[int]]:
    """Greater for what is rather taken.

    Raises:
        ValueError: it is no name of an entry.
    """
    kind, version, _ = name.split("/")
    return kind == "litert", [int(part) for part in re.findall(r"[0-9]+", version)]


def _version(kind: str, version: str, pin: Pinned) -> str:
    """A nightly's version says nothing, its hash does."""
    return f"{NIGHTLY}-{pin.sha256[:8]}" if kind == "tflite" else version
