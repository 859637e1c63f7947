"""Builds the documentation site: reference pages out of the code, formulas, and a last check."""
