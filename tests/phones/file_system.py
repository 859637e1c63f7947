"""The fake phone's files: in memory, with a capacity, and with /sys and /proc from its state."""

from __future__ import annotations

import errno
import fnmatch
import os
import posixpath
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TMP = "/data/local/tmp"
_GIB = 2**30
#: where a shell without root may write
_WRITABLE = (TMP, "/sdcard", "/dev/null")
_FOLDERS = (
    "/",
    "/data",
    "/data/local",
    TMP,
    "/dev",
    "/proc",
    "/sdcard",
    "/sys",
    "/system",
    "/system/bin",
)


@dataclass
class Node:
    """A file or folder."""

    #: None: a folder
    content: bytearray | None
    mode: int
    changed_s: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content or b"")


class FileSystem:
    """Files by absolute path.

    Args:
        generated: the files of /sys and /proc at this moment.
        write_generated: takes what is written to one of them.
        is_root: whether everything may be written.
        commands: names of the programs in /system/bin.
    """

    def __init__(
        self,
        generated: Callable[[], dict[str, str]],
        write_generated: Callable[[str, str], None],
        is_root: Callable[[], bool],
        commands: Callable[[], set[str]],
    ) -> None:
        self._generated = generated
        self._write_generated = write_generated
        self._is_root = is_root
        self._commands = commands
        #: bytes that all files together may take
        self.capacity = _GIB
        #: whether programs beneath /data may not be run
        self.noexec = False
        self.nodes = {path: Node(None, stat.S_IFDIR | 0o771) for path in _FOLDERS}

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum(node.size for node in self.nodes.values())

    @property
    def free(self) -> int:
        """Bytes that are left."""
        return max(0, self.capacity - self.used)

    def find(self, path: str) -> Node | None:
        """A file or folder, None where there is neither."""
        path = posixpath.normpath(path)
        if path in self.nodes:
            return self.nodes[path]
        generated = self._generated()
        if path in generated:
            return Node(bytearray(generated[path].encode()), stat.S_IFREG | 0o644)
        if any(name.startswith(f"{path}/") for name in generated):
            return Node(None, stat.S_IFDIR | 0o755)
        folder, name = posixpath.split(path)
        if folder == "/system/bin" and name in self._commands():
            return Node(bytearray(b"\x7fELF"), stat.S_IFREG | 0o755)
        if path == "/dev/null":
            return Node(bytearray(), stat.S_IFCHR | 0o666)
        return None

    def get(self, path: str) -> Node:
        """A file or folder.

        Raises:
            OSError: there is none.
        """
        node = self.find(path)
        if node is None:
            raise _error(errno.ENOENT, path)
        return node

    def read(self, path: str) -> bytes:
        """A file's bytes.

        Raises:
            OSError: there is none, or it is a folder.
        """
        content = self.get(path).content
        if content is None:
            raise _error(errno.EISDIR, path)
        return bytes(content)

    def write(self, path: str, content: bytes, *, append: bool = False, mode: int = 0o644) -> None:
        """Writes a file, whose folder must be there.

        Raises:
            OSError: it may not be written, or no space is left. What fitted stays.
        """
        path = posixpath.normpath(path)
        if path == "/dev/null":
            return
        self.check_writable(path)
        if path in self._generated():
            self._write_generated(path, content.decode().rstrip("\n"))
            return
        folder = self.find(posixpath.dirname(path))
        if folder is None or folder.content is not None:
            raise _error(errno.ENOENT, path)
        node = self.nodes.get(path)
        if node is not None and node.content is None:
            raise _error(errno.EISDIR, path)
        if node is None or node.content is None:
            node = self.nodes[path] = Node(bytearray(), stat.S_IFREG | mode)
        kept = node.content if append and node.content is not None else bytearray()
        node.content = kept
        node.changed_s = time.time()
        room = self.free
        kept += content[:room]
        if len(content) > room:
            raise _error(errno.ENOSPC, path)

    def make_folder(self, path: str, *, parents: bool = False) -> None:
        """Makes a folder, with those above it where wished.

        Raises:
            OSError: it is there already, or may not be made.
        """
        path = posixpath.normpath(path)
        if parents:
            above = posixpath.dirname(path)
            if self.find(above) is None:
                self.make_folder(above, parents=True)
            if (there := self.find(path)) is not None and there.content is None:
                return
        if self.find(path) is not None:
            raise _error(errno.EEXIST, path)
        self.check_writable(path)
        self.get(posixpath.dirname(path))
        self.nodes[path] = Node(None, stat.S_IFDIR | 0o775)

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Removes a file, or a folder with all in it.

        Raises:
            OSError: there is none, or it is a folder and not to be.
        """
        path = posixpath.normpath(path)
        if self.get(path).content is None and not recursive:
            raise _error(errno.EISDIR, path)
        self.check_writable(path)
        for name in [name for name in self.nodes if name == path or name.startswith(f"{path}/")]:
            del self.nodes[name]

    def move(self, old: str, new: str) -> None:
        """Renames a file or folder; into the folder, if the new name is one.

        Raises:
            OSError: there is none, or it may not be moved.
        """
        old, new = posixpath.normpath(old), posixpath.normpath(new)
        self.get(old)
        target = self.find(new)
        if target is not None and target.content is None:
            new = posixpath.join(new, posixpath.basename(old))
        self.check_writable(old)
        self.check_writable(new)
        self.get(posixpath.dirname(new))
        for name in [name for name in self.nodes if name == old or name.startswith(f"{old}/")]:
            self.nodes[new + name[len(old) :]] = self.nodes.pop(name)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, sorted.

        Raises:
            OSError: there is no such folder.
        """
        folder = posixpath.normpath(folder)
        if self.get(folder).content is not None:
            raise _error(errno.ENOTDIR, folder)
        start = folder if folder.endswith("/") else f"{folder}/"
        below = [path for path in (*self.nodes, *self._generated()) if path.startswith(start)]
        found = {path[len(start) :].split("/")[0] for path in below} - {""}
        return sorted(found | (self._commands() if folder == "/system/bin" else set()))

    def matches(self, pattern: str) -> list[str]:
        """The paths that a pattern stands for, sorted."""
        found = [""]
        for part in posixpath.normpath(pattern).strip("/").split("/"):
            found = [
                f"{folder}/{name}"
                for folder in found
                if (node := self.find(folder or "/")) is not None and node.content is None
                for name in self.names(folder or "/")
                if fnmatch.fnmatchcase(name, part)
            ]
        return sorted(found)

    def check_writable(self, path: str) -> None:
        """Raises what the phone says where nothing may be written."""
        if path.startswith(_WRITABLE):
            return
        if path.startswith("/system"):
            raise _error(errno.EROFS, path)
        if not self._is_root():
            raise _error(errno.EACCES, path)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
