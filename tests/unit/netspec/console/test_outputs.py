from __future__ import annotations

import os
from pathlib import Path

import pytest

from netspec.console.outputs import make_folder, whole_file, write_file
from netspec.errors import UserError


def test_text_and_bytes_are_written_with_the_folders_above(tmp_path: Path) -> None:
    write_file(tmp_path / "a" / "b" / "text", "é\n")
    write_file(tmp_path / "a" / "bytes", b"\x00\r\n")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "é\n".encode()
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\x00\r\n"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"cannot write {tmp_path}: Is a directory; name another"):
        write_file(tmp_path, "x")
    with pytest.raises(UserError, match=rf"the folder {tmp_path}/file cannot be made: .*; name"):
        write_file(tmp_path / "file" / "below", "x")
    with pytest.raises(UserError, match=rf"the folder {tmp_path}/file cannot be made: File exists"):
        make_folder(tmp_path / "file")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    for text in ("first", "second"):
        with whole_file(file) as unfinished:
            unfinished.write_text(text)
    with pytest.raises(OSError, match="full"):
        _fail_in_the_middle(file)
    assert file.read_text() == "second"
    assert list(tmp_path.iterdir()) == [file]


def _fail_in_the_middle(file: Path) -> None:
    with whole_file(file) as unfinished:
        unfinished.write_text("a part")
        raise OSError("full")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="nothing can be written into the folder"):
        make_folder(tmp_path)
