"""What agents send of tasks of which no visits are made, and what comes of it."""
