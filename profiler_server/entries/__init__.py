"""Visits, and the entries derived from them."""
