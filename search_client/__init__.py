"""Search, training, quantization and deployment against a profiler (PyTorch)."""

import os

# Torch's OpenMP threads spin while they wait for each other. With one more busy process on
# two cores a weight step then takes seconds instead of tenths; asleep, it takes its share.
# The library reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
