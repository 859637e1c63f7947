"""TFLite's `benchmark_model`, both programs of that name: flags, output, evidence, binary."""
