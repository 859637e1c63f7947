"""Parts of `benchmarks/operators.py`."""
