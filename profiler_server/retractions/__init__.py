"""Taking visits back: who sent wrong numbers, or measured on a broken device."""
