"""`python -m scripts.site`: writes the generated pages; `--check` reads a built site."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.site.commands import command_page
from scripts.site.links import problems_of
from scripts.site.problems import problem_page
from scripts.site.rest import rest_pages
from scripts.site.settings import recipe_page, settings_page
from scripts.site.spaces import space_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def write_reference(folder: Path) -> None:
    """Writes the generated pages, those that have not changed left alone."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands.md": command_page(),
        "settings.md": settings_page(),
        "recipes.md": recipe_page(),
        "spaces.md": space_page(),
        "problems.md": problem_page(),
        **rest_pages(DOCS / "openapi.json"),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def main() -> int:
    """Exit code 1 if the site has a link that leads nowhere or loads anything from outside."""
    if sys.argv[1:] != ["--check"]:
        write_reference(DOCS / "reference")
        return 0
    problems = problems_of(ROOT / "site")
    sys.stderr.writelines(f"error: {problem}\n" for problem in problems)
    return 1 if problems else 0


sys.exit(main())
