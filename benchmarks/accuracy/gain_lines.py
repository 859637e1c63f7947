"""Lines of the search's experiment, in a file that is kept: one fact each, on disk at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netspec.networks import Network

#: how far a network's measured latency may be from the reference's
WITHIN = 0.02


class Lines:
    """`network`, `score`, `latency`, `compared_latency` and `training`, each with its target.

    Networks of one latency on one target are of others on the next: only a target's own lines
    count. Without one, the target of the last line.
    """

    def __init__(self, path: Path, target_id: str | None = None) -> None:
        self.path = path
        text = path.read_text() if path.is_file() else ""
        every = [json.loads(line) for line in text.splitlines()]
        self.target_id = target_id or (every[-1]["target"] if every else "")
        self.rows: list[dict[str, Any]] = [row for row in every if row["target"] == self.target_id]

    def of(self, kind: str, **values: object) -> list[dict[str, Any]]:
        """The lines of one kind that have these values."""
        rows = (row for row in self.rows if row["kind"] == kind)
        return [row for row in rows if all(row[name] == value for name, value in values.items())]

    def add(self, row: dict[str, Any]) -> None:
        """One more line."""
        row = {**row, "target": self.target_id}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)

    def networks(self, arm: str, count: int | None = None) -> list[Network]:
        """What an arm is made of, in the order of its seeds.

        Of each seed the first of its candidates that is as fast as the reference, once both are
        measured; seeds that have none are left out. MobileNetV2 is not asked.

        Args:
            arm: its name.
            count: no more than so many.
        """
        rows = sorted(self.of("network", arm=arm), key=lambda row: (row["seed"], row["rank"]))
        measured = {one["content_hash"]: float(one["ms"]) for one in self.of("latency")}
        if measured and arm != "mobilenet":
            reference_ms = measured[self.of("network", arm="mobilenet")[0]["content_hash"]]
            rows = [
                row
                for row in rows
                if abs(measured[row["content_hash"]] / reference_ms - 1) <= WITHIN
            ]
        chosen = {int(row["seed"]): row for row in reversed(rows)}
        return [Network.model_validate(chosen[seed]["network"]) for seed in sorted(chosen)][:count]
