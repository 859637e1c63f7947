"""Energy of runs on a phone, from its own counters."""
