"""Every command in the docs is run, or says why not; what is not run exists all the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.site.commands import APPS
from tests.docs.command_lines import commands_in, problem_of
from tests.docs.pages import SHELL, Block, all_blocks, blocks_of, name_of, pages, without_shell

BLOCKS = [block for block in all_blocks() if block.language in SHELL]
#: a line that a reader would copy, fenced or indented
_COMMAND = re.compile(rf"^ *(?:\.venv/bin/)?(?:{'|'.join(APPS)}) [^`\n]*$", re.MULTILINE)


def where(block: Block) -> str:
    return block.where


@pytest.mark.parametrize("block", BLOCKS, ids=where)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark, (
        f"{block.where}: put `<!-- run -->` or `<!-- not run: REASON -->` on the line above it"
    )
    assert block.mark != "not run" or len(block.reason.split()) > 1


@pytest.mark.parametrize("block", BLOCKS, ids=where)
def test_commands_and_their_options_exist(block: Block) -> None:
    found = list(commands_in(block.text))
    wrong = {" ".join(words): problem for words in found if (problem := problem_of(words))}
    assert found
    assert wrong == {}


@pytest.mark.parametrize("path", pages(), ids=name_of)
def test_commands_stand_in_blocks_of_shell(path: Path) -> None:
    assert _COMMAND.findall(without_shell(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("search-client search --data photos/ --run runs/mine", ""),
        ("search-client profile --calibrate 5", "no option --calibrate"),
        ("search-client find", "no command find"),
        (".venv/bin/profiler-server token make", "no command make"),
        ("docker compose run --rm migrate profiler-server token create --nam x", "no option --nam"),
        ("torchrun --nproc-per-node 8 --no-python search-client serch", "no command serch"),
        ("A=1 device-agent run \\\n  --phne all", "no option --phne"),
        ("cd x && ./scripts/nothing", "no script ./scripts/nothing"),
        ("python benchmarks/nothing.py", "no file benchmarks/nothing.py"),
        ("rm -rf /", "no program rm"),
        ("X=$(search-client tragets | python -c 'print(\n1)')", "no command tragets"),
    ],
)
def test_what_does_not_exist_is_seen(line: str, problem: str) -> None:
    found = [problem_of(words) for words in commands_in(line)]
    assert [one for one in found if one] == ([problem] if problem else [])


def test_a_block_knows_its_mark_and_its_indent() -> None:
    text = "a\n\n   <!-- not run: needs a phone -->\n   ```sh\n   one\n     two\n   ```\n"
    text += "\n```toml\n```\n"
    first, second = blocks_of("page.md", text)
    assert (first.mark, first.reason, first.line) == ("not run", "needs a phone", 4)
    assert first.text == "one\n  two\n"
    assert (second.language, second.mark) == ("toml", "")
