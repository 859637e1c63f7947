"""Images as WebDataset shards: of files, and of any number of made-up ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

Entry = tuple[str, bytes, int]


def shards_of(data: Path, folder: Path, part: str = "test") -> Path:
    """The training and test images of a data folder, in its order, as two shards each."""
    folder.mkdir()
    names = sorted(entry.name for entry in (data / "train").iterdir())
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for held, called in (("train", "train"), ("test", part)):
        entries = [
            (path.suffix, path.read_bytes(), label)
            for label, name in enumerate(names)
            for path in sorted((data / held / name).iterdir())
        ]
        half = len(entries) // 2
        for number, some in enumerate((entries[:half], entries[half:])):
            write_shard(folder / f"{called}-{number:04}.tar", some)
    return folder


def imagenet_like(folder: Path, images: int, classes: int, side: int, shards: int = 4) -> Path:
    """Shards of JPEG images of a camera's shape, cycling through 50 different ones."""
    folder.mkdir()
    rows, columns = np.mgrid[0 : side * 3 // 4, 0:side].astype(np.float32)
    encoded = []
    for seed in range(50):
        waves = [np.sin((rows * (seed + 1) + columns * (c + 1)) / side * 9) for c in range(3)]
        file = io.BytesIO()
        Image.fromarray((np.stack(waves, -1) * 127 + 128).astype(np.uint8)).save(file, "jpeg")
        encoded.append(file.getvalue())
    for part, count in (("train", images), ("val", classes)):
        for number in range(shards):
            held = range(number, count, shards)
            entries = [(".jpg", encoded[one % len(encoded)], one % classes) for one in held]
            write_shard(folder / f"{part}-{number:04}.tar", entries)
    return folder


def write_shard(path: Path, entries: Iterable[Entry]) -> None:
    """One shard of images: what their files end with, content and class."""
    with tarfile.open(path, "w") as shard:
        for index, (suffix, content, label) in enumerate(entries):
            for name, held in ((suffix, content), (".cls", str(label).encode())):
                member = tarfile.TarInfo(f"{index:07}{name}")
                member.size = len(held)
                shard.addfile(member, io.BytesIO(held))
