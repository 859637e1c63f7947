"""Who measures a board is told of a board, or of a device: never of a phone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import device_agent

ROOT = Path(device_agent.__file__).parent
#: whose words reach users of phones alone: ways to phones, and what is Android's
OF_PHONES_ALONE = (
    *("commands/pair.py", "phones/discovery.py", "phones/energy/counters.py"),
    *("phones/energy/quiet.py", "phones/settings/awake.py"),
    *("phones/systems/android.py", "phones/systems/android_checks.py"),
    *("transports/__init__.py", "transports/adb_server.py", "transports/direct.py"),
    *("transports/keys.py", "transports/libusb.py", "transports/over_streams.py"),
    *("transports/shell.py", "transports/streams.py", "transports/sync.py", "transports/usb.py"),
    *("transports/wifi/mdns.py", "transports/wifi/pipe.py"),
)
#: of options and commands that only who has a phone uses
OF_PHONES_ALONE_HERE = (
    "HOST:PORT of a phone that listens at TCP",
    "Look for phones in the network",
    "No phones are seen.",
    "How to reach the phones.",
    "Measure on this phone, not on this machine",
    "no phone to measure on is plugged in",
    "the phone does not trust this machine",
)
PHONE = re.compile(r"\bphones?\b", re.IGNORECASE)
BOARD = re.compile(r"\bboards?\b", re.IGNORECASE)


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a program but for its documentation."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in documented:
            yield str(node.value)


def of_phones(text: str) -> bool:
    """Whether a text is words for people, and tells them of a phone alone."""
    return " " in text and bool(PHONE.search(text)) and not BOARD.search(text)


def test_what_users_of_boards_may_read_calls_no_device_a_phone() -> None:
    found: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        if (name := str(path.relative_to(ROOT))) not in OF_PHONES_ALONE:
            said = [text for text in texts(ast.parse(path.read_text())) if of_phones(text)]
            found[name] = [
                one for one in said if not any(words in one for words in OF_PHONES_ALONE_HERE)
            ]
    assert len(found) > 100
    assert {name: said for name, said in found.items() if said} == {}


def test_every_exception_is_still_one() -> None:
    for name in OF_PHONES_ALONE:
        tree = ast.parse((ROOT / name).read_text())
        assert any(PHONE.search(text) for text in texts(tree)), name
    everything = "".join(
        text for path in ROOT.rglob("*.py") for text in texts(ast.parse(path.read_text()))
    )
    assert [words for words in OF_PHONES_ALONE_HERE if words not in everything] == []
