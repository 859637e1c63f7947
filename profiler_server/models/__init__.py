"""Uploaded `.tflite` files."""
