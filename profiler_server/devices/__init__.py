"""Devices and the targets they measure."""
