"""What a post-training calibration can do beside observing ranges, one technique a file."""
