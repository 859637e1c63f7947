"""The report's figures: each function returns one inline SVG."""
