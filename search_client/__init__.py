"""Search, training, quantization and deployment against a profiler (PyTorch)."""
