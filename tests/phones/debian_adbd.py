"""Debian's `adbd` out of Debian's archive, and what keeps it to this machine.

It needs root, or user namespaces, a C compiler (adbd has to be kept to 127.0.0.1) and, once,
Debian's archive (1.3 MB into the user's cache).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

_HERE = Path(__file__).parent
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
#: of its suite; the other one is the release itself
_FROM_BACKPORTS = (
    "adbd",
    "android-libbase",
    "android-libcutils",
    "android-liblog",
    "android-libziparchive",
    "android-libboringssl",
)
_FROM_RELEASE = ("libprotobuf32",)
#: found before a test moves the home folder
_CACHE = user_cache_path("proxyless-farm")
_DOWNLOAD_TIMEOUT_S = 120


class CannotHave(Exception):
    """A real adb daemon cannot be had here; the text says why."""


def adbd_programs() -> Path:
    """A folder with adbd, its libraries and the preload that keeps it to 127.0.0.1; cached.

    Raises:
        CannotHave: no Debian, C compiler, namespaces or way to the archive.
    """
    _need_namespaces()
    recipe = (_HERE / "loopback.c").read_bytes() + repr(_FROM_BACKPORTS + _FROM_RELEASE).encode()
    cached = _CACHE / f"adbd-{hashlib.sha256(recipe).hexdigest()[:12]}"
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cached.parent, prefix=".adbd-"))
        try:
            _download(made)
            _compile(made)
            made.rename(cached)
        except OSError:
            if not cached.exists():  # else another process of the tests was first
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return cached


def _need_namespaces() -> None:
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    try:
        subprocess.run(
            ["unshare", *own_user, "--mount", "--pid", "--fork", "true"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotHave(f"namespaces of one's own cannot be had here ({error})") from error


def _download(folder: Path) -> None:
    if not _SOURCES.exists() or not shutil.which("dpkg-deb"):
        raise CannotHave("Debian's adbd is installed from Debian's archive; this is no Debian")
    codename = _codename()
    stanza = _SOURCES.read_text().strip().split("\n\n")[0]
    lines = [line for line in stanza.splitlines() if not line.startswith(("#", "Suites:"))]
    suites = f"Suites: {codename} {codename}-backports"
    sources = folder / "archive.sources"
    sources.write_text("\n".join([*lines, suites]) + "\n")
    for name in ("lists/partial", "packages"):
        (folder / name).mkdir(parents=True)
    options = (
        f"Dir::Etc::sourcelist={sources}",
        "Dir::Etc::sourceparts=/dev/null",
        f"Dir::State::Lists={folder / 'lists'}",
        "APT::Sandbox::User=root",
        "Acquire::Languages=none",
    )
    apt = ["apt-get", "-q", *(part for option in options for part in ("-o", option))]
    _call([*apt, "update"], folder)
    wanted = [f"{name}/{codename}-backports" for name in _FROM_BACKPORTS]
    _call([*apt, "download", *wanted, *_FROM_RELEASE], folder / "packages")
    for package in (folder / "packages").glob("*.deb"):
        _call(["dpkg-deb", "-x", package, folder / "unpacked"], folder)
    for found in sorted((folder / "unpacked").rglob("*")):
        if found.name.startswith("lib") and ".so" in found.name:
            shutil.copy(found, folder / found.name)
    shutil.copy(folder / "unpacked/usr/lib/android-sdk/platform-tools/adbd", folder / "adbd")
    for name in ("lists", "packages", "unpacked"):
        shutil.rmtree(folder / name)


def _codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise CannotHave("this Debian does not say its codename")


def _compile(folder: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotHave("no C compiler, which the preload needs that keeps adbd to 127.0.0.1")
    _call(
        [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "loopback.so", _HERE / "loopback.c"],
        folder,
    )


def _call(command: list[str | Path], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, timeout=_DOWNLOAD_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.decode(errors="replace").split())
        raise CannotHave(f"{command[0]} fails: {said[-300:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotHave(f"{command[0]} fails: {error}") from error
