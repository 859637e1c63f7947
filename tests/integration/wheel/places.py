"""Where the project's parts lie, and the programs that the tests of the wheel run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = ("netspec", "profiler_server", "device_agent", "search_client")

#: Imports every module of the named packages; prints what is missing, one name a line.
IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not module.name.endswith("__main__") and ".migrations" not in module.name:
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                print(error.name)
"""


def sources_of_images() -> list[str]:
    """What the Dockerfile copies out of the checkout, as paths from its root."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    return [
        source.removeprefix("./")
        for sources in copies
        if not sources[0].startswith("--from")
        for source in sources
    ]
