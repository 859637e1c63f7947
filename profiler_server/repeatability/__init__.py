"""How well a target's latencies repeat, out of the history of its visits."""
