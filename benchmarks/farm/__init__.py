"""Parts of `benchmarks/agent.py`."""
