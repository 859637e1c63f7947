"""Latency tables: snapshots and their calibrations."""
