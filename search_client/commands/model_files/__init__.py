"""Commands about `.tflite` files, from anywhere."""
