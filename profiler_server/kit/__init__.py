"""What the domains share: settings, database, problems, logs."""
