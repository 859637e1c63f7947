"""The cores of a phone: what Linux states of each, and which of them are the fastest."""
