"""Looking at old entries again, and raising the alarm when a table is no longer true."""
