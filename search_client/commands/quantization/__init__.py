"""The commands of 8 bits and deployment: quantize, export, verify, evaluate, and what 8 bits do."""
