"""Leases: attempts of a device at a batch of tasks."""
