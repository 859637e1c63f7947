"""How fast subjects stay when they run without pause."""
