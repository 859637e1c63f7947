"""Search, training, quantization and deployment against a profiler (PyTorch)."""

import logging
import os

# Torch's OpenMP threads (libgomp) spin for milliseconds before they sleep. With one more busy
# process on two cores a weight step then takes seconds instead of tenths. 1,000 turns are what
# libgomp itself chooses where it knows that there are more threads than cores. The library
# reads this once, when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# It tells of a home that it cannot write, and of fonts that it looks for: both work all the same.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
