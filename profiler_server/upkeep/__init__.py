"""Keeping a database that has run for years: what grows, and what may leave it."""
