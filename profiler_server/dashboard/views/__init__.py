"""What each page shows, read from the domains."""
