"""What is set on a phone while it is measured, and given back: its clock, that it is awake."""
