"""Operators that are single layers: what is left of a network whose blocks nobody knows.

Convolutions, pooling and conversions by themselves are kinds of their own, in the folder above.
"""
