"""The shared vocabulary: operators, networks, spaces, `.tflite` encoding, protocol, messages."""
