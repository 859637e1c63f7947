"""Commands that put networks and runs beside each other."""
