"""Android phones: who they are, how they feel, and visits on them with `benchmark_model`."""
