"""What our programs import, sooner or later.

Only the process that `tests.forked` forks from imports this module.
"""

from __future__ import annotations

import gc
import importlib
import os

#: the programs, and what their commands import when they run
_MODULES = (
    "profiler_server.cli",
    "profiler_server.serving",
    "profiler_server.app",
    "profiler_server.kit.sql.schema",
    "device_agent.cli",
    "search_client.cli",
    "search_client.pipeline",
    "search_client.report.terminal",
    "search_client.progress.loggers",
    "search_client.demo.farm",
    # Imported by the first optimizer that is made, and it takes as long as torch itself.
    "torch._dynamo",
)

# Read at import: a line may not be folded at the width of whoever runs the tests.
os.environ["COLUMNS"] = "80"
for _module in _MODULES:
    importlib.import_module(_module)
# Else each process copies all of it when it ends, to count its references.
gc.collect()
gc.freeze()
