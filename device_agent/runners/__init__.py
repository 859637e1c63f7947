"""Runners: what makes one visit of a model on a device."""
