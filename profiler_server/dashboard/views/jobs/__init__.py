"""What the pages of jobs show."""
