"""Devices: what one does, and who could do what waits."""
