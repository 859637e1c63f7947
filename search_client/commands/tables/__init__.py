"""Commands that make a target's table, or save it."""
