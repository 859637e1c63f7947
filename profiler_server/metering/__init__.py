"""Measurements of energy: taken in, and told."""
