"""What a run found, as data, on the terminal and as one HTML file."""
