"""The menu of every page."""

from __future__ import annotations

from typing import Final

#: address below the dashboard's own, and title; a page is below the longest address it begins with
NAVIGATION: Final = (
    ("/", "Farm"),
    ("/jobs", "Jobs"),
    ("/targets", "Tables"),
    ("/comparison", "Comparison"),
)
