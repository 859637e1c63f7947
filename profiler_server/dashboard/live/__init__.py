"""Open pages that follow what happens."""
