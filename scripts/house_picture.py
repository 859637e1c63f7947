# ruff: noqa: INP001 - a script beside the others, run as `python -m scripts.house_picture`
"""Draws the rooms and their floors from the imports, as `docs/architecture.svg`."""

from __future__ import annotations

from pathlib import Path

from scripts.house import ROOMS, floors, imports_between_boxes

COLUMN, ROW, LINE, MARGIN = 230, 62, 13, 16


def picture(root: Path) -> str:
    """An SVG with a column a room; a box stands on the floor that its imports give it."""
    columns = {room: floors(imports_between_boxes(root / room)) for room in ROOMS}
    top = max(max(heights.values()) for heights in columns.values())
    width, height = len(ROOMS) * COLUMN + 2 * MARGIN, (top + 1) * ROW + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        '<g font-family="sans-serif" font-size="12" text-anchor="middle">',
        "<title>The rooms and their floors; a box imports only boxes of floors below it</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for column, room in enumerate(ROOMS):
        left = MARGIN + column * COLUMN
        middle = left + COLUMN // 2
        parts.append(f'<text x="{middle}" y="{MARGIN + 24}" font-weight="bold">{room}</text>')
        for floor in sorted(set(columns[room].values())):
            y = MARGIN + (top + 1 - floor) * ROW
            boxes = sorted(box for box, height in columns[room].items() if height == floor)
            parts.append(
                f'<rect x="{left + 6}" y="{y}" width="{COLUMN - 12}" height="{ROW - 8}" rx="6" '
                'fill="#eef3f8" stroke="#5b7a99"/>'
            )
            rows = [", ".join(boxes[at : at + 2]) for at in range(0, len(boxes), 2)]
            first = y + (ROW - 8) // 2 + 4 - (len(rows) - 1) * LINE // 2
            parts += [
                f'<text x="{middle}" y="{first + at * LINE}">{row}</text>'
                for at, row in enumerate(rows)
            ]
    return "\n".join([*parts, "</g></svg>", ""])


if __name__ == "__main__":
    (Path.cwd() / "docs" / "architecture.svg").write_text(picture(Path.cwd()))
